"""Shows the log lines of an endpoint, from CloudWatch Logs' API."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from saker.cli import output
from saker.cli.watch import GROUP
from saker.core.errors import NotFound
from saker.core.suggest import did_you_mean

if TYPE_CHECKING:
    from saker.cli.client import Client

POLL_S = 0.5

Event = dict[str, Any]


def show(client: Client, endpoint: str, *, follow: bool, tail: int, replica: str | None, as_json: bool) -> None:
    """Print the last lines of an endpoint's streams; with `follow`, new ones as they come.

    Raises:
        NotFound: No such endpoint, or no such replica.
    """
    members: dict[str, Any] = {"logGroupName": GROUP + endpoint}
    if replica is not None:
        members["logStreamNames"] = _streams(client, endpoint, replica)
    events = list(client.aws("logs").pages("filter_log_events", "events", **members))
    _print(events[len(events) - tail :] if tail < len(events) else events, as_json=as_json)
    if follow:
        for event in _new_events(client, members, events):
            _print([event], as_json=as_json)


def _streams(client: Client, endpoint: str, replica: str) -> list[str]:
    pages = client.aws("logs").pages("describe_log_streams", "logStreams", logGroupName=GROUP + endpoint)
    names = [stream["logStreamName"] for stream in pages]
    found = [name for name in names if name == replica or name.endswith(f"/{replica}")]
    if not found:
        known = [name.rpartition("/")[2] for name in names]
        raise NotFound(f"Endpoint {endpoint!r} has no log of replica {replica!r}.", fix=did_you_mean(replica, known))
    return found


def _new_events(client: Client, members: dict[str, Any], seen: list[Event]) -> Iterator[Event]:
    """Events later than those seen, for ever."""
    # Two lines may have one timestamp, so the last one's is asked for again and what was seen is left out.
    since = max((event["timestamp"] for event in seen), default=0)
    known = {_identity(event) for event in seen if event["timestamp"] == since}
    while True:
        sys.stdout.flush()
        time.sleep(POLL_S)
        for event in client.aws("logs").pages("filter_log_events", "events", startTime=since, **members):
            if event["timestamp"] > since:
                since, known = event["timestamp"], set()
            if event["timestamp"] == since and _identity(event) not in known:
                known.add(_identity(event))
                yield event


def _identity(event: Event) -> tuple[str, str]:
    return event["logStreamName"], event["eventId"]


def _print(events: Iterable[Event], *, as_json: bool) -> None:
    import json

    for event in events:
        if as_json:  # one to a line, so that it can be followed
            click.echo(json.dumps(event))
        else:
            when = output.moment(event["timestamp"] / 1000)
            click.echo(f"{when} {event['logStreamName']}: {output.printable(event['message'])}")
