"""Speaks to a running platform as its owner: AWS's APIs through botocore, Saker's own routes in JSON."""

from __future__ import annotations

import dataclasses
import http.client
import json
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from saker.cli import aws_errors, sse
from saker.core import errors
from saker.core.errors import SakerError, Unauthenticated, Unavailable
from saker.storage.lock import FolderLock

if TYPE_CHECKING:
    from saker.access.credentials import RootCredentials
    from saker.settings import Settings

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0

STATUSES: dict[int, type[SakerError]] = {
    403: errors.PermissionDenied,
    404: errors.NotFound,
    409: errors.Conflict,
    413: errors.TooLarge,
    429: errors.Throttled,
    500: errors.Internal,
    503: errors.Unavailable,
    504: errors.DeadlineExceeded,
}
"""What a status of Saker's own routes means; others are InvalidInput."""


class Client:
    """A client of the platform that these settings name. Connects when it is first used."""

    def __init__(self, settings: Settings) -> None:
        self.settings = locate(settings)
        self._services: dict[tuple[str, float], Service] = {}

    @property
    def url(self) -> str:
        """Where the platform answers."""
        return self.settings.url

    @cached_property
    def credentials(self) -> RootCredentials:
        """The root's keys from the data folder.

        Raises:
            Unavailable: There are none, or they cannot be read.
        """
        return read_credentials(self.settings)

    def aws(self, service: str, *, read_timeout_s: float = READ_TIMEOUT_S) -> Service:
        """An AWS service of the platform, by botocore's name."""
        key = (service, read_timeout_s)
        if key not in self._services:
            self._services[key] = Service(self, service, read_timeout_s)
        return self._services[key]

    @property
    def sagemaker(self) -> Service:
        """SageMaker's control plane."""
        return self.aws("sagemaker")

    def call(self, method: str, path: str, body: Any = None, *, timeout_s: float = READ_TIMEOUT_S) -> Any:
        """The JSON that one of Saker's own routes, or of OpenAI's, answers.

        Raises:
            Unavailable: The platform does not answer.
            SakerError: It refuses; with its message.
        """
        with self._request(method, path, body, timeout_s) as response:
            return json.loads(response.read())

    def stream(self, path: str, body: Any, *, timeout_s: float = READ_TIMEOUT_S) -> Generator[str]:
        """The data of the server-sent events that a POST answers. Closing the iterator ends the request.

        Raises:
            Unavailable: The platform does not answer.
            SakerError: It refuses; with its message.
        """
        with self._request("POST", path, body, timeout_s) as response:
            yield from sse.data(iter(response.readline, b""))

    def head(self) -> tuple[int, str]:
        """The status and the Date header of the open health check.

        Raises:
            Unavailable: The platform does not answer.
        """
        with self._send("GET", "/health", None, {}, CONNECT_TIMEOUT_S) as response:
            return response.status, response.headers.get("date", "")

    @contextmanager
    def _request(self, method: str, path: str, body: Any, timeout_s: float) -> Iterator[http.client.HTTPResponse]:
        headers = {"authorization": f"Bearer {self.credentials.bearer_key}", "content-type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with self._send(method, path, data, headers, timeout_s) as response:
            if response.status >= 400:
                self._refuse(response.status, response.read())
            yield response

    @contextmanager
    def _send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], timeout_s: float
    ) -> Iterator[http.client.HTTPResponse]:
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=CONNECT_TIMEOUT_S)
        with closing(connection):
            try:
                connection.connect()
                connection.sock.settimeout(timeout_s)
                connection.request(method, path, body, headers)
                with connection.getresponse() as response:
                    yield response
            except (OSError, http.client.HTTPException) as error:
                raise self.unreachable(error) from error

    def _refuse(self, status: int, body: bytes) -> NoReturn:
        try:
            message = str(json.loads(body)["error"]["message"])
        except (ValueError, KeyError, TypeError):
            message = f"{self.url} answered status {status}, and not as Saker does."
        if status == 401:
            raise self.stranger()
        raise STATUSES.get(status, errors.InvalidInput)(message)

    def stranger(self) -> SakerError:
        """The error for a platform that does not know our keys."""
        return Unauthenticated(
            f"The platform at {self.url} does not know the keys in {str(self.settings.home / 'credentials')!r}.",
            why="It runs with another data folder.",
            fix="Name that folder with --home, or the port of this folder's platform with --port.",
        )

    def unreachable(self, cause: BaseException) -> SakerError:
        """The error for a platform that does not answer."""
        holder = FolderLock(self.settings.home).holder()
        if holder is None:
            return Unavailable(
                f"No platform answers at {self.url}.",
                why=f"None runs with data folder {str(self.settings.home)!r}.",
                fix="Start it: saker up --detach",
            )
        return Unavailable(
            f"The platform with process id {holder.pid} did not answer at {self.url}.",
            why=f"{_reason(cause)}.",
            fix="Try again in a moment; `saker doctor` tells more.",
        )


class Service:
    """One AWS service of the platform."""

    def __init__(self, client: Client, name: str, read_timeout_s: float) -> None:
        self._client = client
        self._boto = _make_boto(client, name, read_timeout_s)

    def __call__(self, operation: str, **members: Any) -> dict[str, Any]:
        """Call an operation, named as botocore's methods are ("create_model").

        Raises:
            SakerError: What the platform answered, or that it did not.
        """
        with self.errors():
            result: dict[str, Any] = getattr(self._boto, operation)(**members)
            return result

    def pages(self, operation: str, member: str, **members: Any) -> Iterator[dict[str, Any]]:
        """Every item of a listing: the entries of `member` on all pages.

        Raises:
            SakerError: What the platform answered, or that it did not.
        """
        with self.errors():
            for page in self._boto.get_paginator(operation).paginate(**members):
                yield from page[member]

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns botocore's errors into the platform's."""
        try:
            yield
        except Exception as error:
            translated = aws_errors.translate(error, self._client.stranger, self._client.unreachable)
            if translated is error:
                raise
            raise translated from error


def locate(settings: Settings) -> Settings:
    """The settings with the port of the platform that holds the data folder, unless the command line names one."""
    if settings.sources.get("port") == "command line" and settings.port:
        return settings
    holder = FolderLock(settings.home).holder()
    return dataclasses.replace(settings, port=holder.port) if holder is not None and holder.port else settings


def read_credentials(settings: Settings) -> RootCredentials:
    """The root's keys from the data folder.

    Raises:
        Unavailable: There are none, or they cannot be read.
    """
    from saker.access.credentials import read_root

    root = read_root(settings.home / "credentials")
    if root is None:
        raise Unavailable(
            f"There are no credentials in {str(settings.home)!r}.",
            why="No platform has been started with this data folder.",
            fix="Start one: saker up --detach. Another folder is named with --home or SAKER_HOME.",
        )
    return root


def _make_boto(client: Client, service: str, read_timeout_s: float) -> Any:
    import botocore.session
    from botocore.config import Config

    # The user's own AWS profile and files have no say here: a missing one would fail the call.
    nothing: dict[str, tuple[None, None, str | None, Callable[[str], str] | None]] = {
        "profile": (None, None, None, None),
        "config_file": (None, None, "/dev/null", None),
        "credentials_file": (None, None, "/dev/null", None),
    }
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=read_timeout_s,
        retries={"total_max_attempts": 1},  # the person at the terminal decides whether to try again
        proxies={},
    )
    return botocore.session.Session(session_vars=nothing).create_client(
        service,
        region_name=client.settings.region,
        endpoint_url=client.url,
        aws_access_key_id=client.credentials.access_key_id,
        aws_secret_access_key=client.credentials.secret_access_key,
        config=config,
    )


def _reason(cause: BaseException) -> str:
    if isinstance(cause, TimeoutError):
        return "It took too long"
    return (cause.strerror if isinstance(cause, OSError) else None) or f"{type(cause).__name__}"
