"""Follows an endpoint while it changes: its deployment log as it is written, and the state in which it ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from saker.cli import output
from saker.core.errors import Conflict, DeadlineExceeded, EngineFailure, NotFound, SakerError

if TYPE_CHECKING:
    from saker.cli.client import Client

GROUP = "/aws/sagemaker/Endpoints/"
DEPLOYMENT_STREAM = "deployment"
CHANGING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
POLL_S = 0.3

Tell = Callable[[str], None]
"""Takes one line of progress."""

Description = dict[str, Any]
"""What DescribeEndpoint answers."""


class DeploymentLog:
    """The lines that a deployment writes from now on."""

    def __init__(self, client: Client, endpoint: str) -> None:
        """Starts behind what earlier deployments of the endpoint have written."""
        self._logs = client.aws("logs")
        self._names = {"logGroupName": GROUP + endpoint, "logStreamName": DEPLOYMENT_STREAM}
        self._token: str | None = None
        self.read()

    def read(self) -> list[str]:
        """The lines since the last call."""
        more = {"nextToken": self._token} if self._token else {}
        try:
            page = self._logs("get_log_events", startFromHead=True, **self._names, **more)
        except NotFound:  # nothing has been written yet
            return []
        self._token = page["nextForwardToken"]
        return [event["message"] for event in page["events"]]


def wait_until_settled(
    client: Client, name: str, tell: Tell, *, log: DeploymentLog, timeout_s: float | None = None
) -> Description:
    """Wait until the endpoint is InService or Failed; returns its description.

    Args:
        tell: Gets the lines of its deployment meanwhile.
        timeout_s: None waits as long as it changes.

    Raises:
        DeadlineExceeded: It still changes after that time.
        NotFound: There is no such endpoint, or it has been deleted meanwhile.
    """
    for _ in _ticks(name, timeout_s):
        description = client.sagemaker("describe_endpoint", EndpointName=name)
        for line in log.read():
            tell(line)
        if description["EndpointStatus"] not in CHANGING:
            return description
    raise AssertionError  # the ticks end by raising


def wait_until_gone(client: Client, name: str, *, timeout_s: float | None = None) -> None:
    """Wait until the endpoint does not exist any more.

    Raises:
        DeadlineExceeded: It still exists after that time.
        Conflict: It stays, in a state other than Deleting.
    """
    for _ in _ticks(name, timeout_s):
        try:
            status = client.sagemaker("describe_endpoint", EndpointName=name)["EndpointStatus"]
        except NotFound:
            return
        if status != "Deleting":
            raise Conflict(f"Endpoint {name!r} is not being deleted.", why=f"It is {status}.")


def check_in_service(description: Description) -> None:
    """Refuse an endpoint that has come to rest without serving.

    Raises:
        EngineFailure: It failed; holds the platform's reason.
    """
    if description["EndpointStatus"] != "InService":
        raise failure(description)


def failure(description: Description) -> SakerError:
    """The error for an endpoint that did not come into service."""
    name = description["EndpointName"]
    return EngineFailure(
        f"Endpoint {name!r} is {description['EndpointStatus']}.",
        why=description.get("FailureReason", ""),
        fix=f"Its logs: saker endpoints logs {name}",
    )


@contextmanager
def progress(title: str) -> Iterator[Tell]:
    """Shows lines of progress on standard error: with a spinner in a terminal, line by line elsewhere."""
    if not sys.stderr.isatty():
        output.note(f"{title} …")
        yield output.note
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    with console.status(Text(title)) as status:

        def tell(line: str) -> None:
            console.print(Text(f"  {output.printable(line)}", style="dim"))
            status.update(Text(title))

        yield tell


def _ticks(name: str, timeout_s: float | None) -> Iterator[None]:
    begin = time.monotonic()
    while True:
        yield
        if timeout_s is not None and time.monotonic() - begin + POLL_S > timeout_s:
            raise DeadlineExceeded(
                f"Endpoint {name!r} still changes after {timeout_s:g} s.",
                fix=f"Wait longer: saker endpoints wait {name} --timeout SECONDS",
            )
        time.sleep(POLL_S)
