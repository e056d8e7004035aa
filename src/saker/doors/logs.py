"""CloudWatch Logs for endpoints: in each group a stream for every replica, and one for the deployments.

Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html and its neighbours
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from saker.core.arn import Arn
from saker.core.errors import InvalidInput, NotFound, Unsupported
from saker.core.suggest import did_you_mean
from saker.doors.operations import Params, Result, operation
from saker.serving.base import Endpoint
from saker.serving.records import Records

GROUP = "/aws/sagemaker/Endpoints/"
MAX_EVENTS = 10_000
READ_BYTES = 1024 * 1024
"""How much of the end of each log file is looked at: what a page can hold."""

_STAMP = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)Z ")


@dataclass(frozen=True, slots=True)
class Event:
    """One line of one stream."""

    stream: str
    offset: int
    """Where the line begins, in bytes from the start of its file: it tells lines apart and orders them."""
    timestamp: int
    """Milliseconds since the epoch."""
    message: str


class LogOperations:
    """The operations on the logs of endpoints."""

    def __init__(self, folder: Path, endpoints: Records[Endpoint], region: str, account_id: str) -> None:
        """
        Args:
            folder: Holds a folder for each endpoint.
        """
        self._folder = folder
        self._endpoints = endpoints
        self._region = region
        self._account_id = account_id

    @operation("logs", "DescribeLogStreams")
    async def describe_log_streams(self, request: Params) -> Result:
        """The streams of an endpoint."""
        files = self._streams(request)
        prefix = request.get("logStreamNamePrefix", "")
        rows = [self._describe(request, name, path) for name, path in files.items() if name.startswith(prefix)]
        return {"logStreams": rows[: request.get("limit", 50)]}

    @operation("logs", "FilterLogEvents")
    async def filter_log_events(self, request: Params) -> Result:
        """Lines of many streams, oldest first; the token goes on after the last line."""
        files = self._streams(request)
        names = _chosen(request, list(files))
        terms = _terms(request.get("filterPattern", ""))
        events = [
            event
            for name in names
            for event in read_events(name, files[name])
            if _inside(event, request) and all(term in event.message for term in terms)
        ]
        events.sort(key=_order)
        if (token := request.get("nextToken")) is not None:
            events = [event for event in events if _order(event) > _read_token(token)]
        limit = request.get("limit", MAX_EVENTS)
        page = events[:limit]
        result: Result = {"events": [_filtered(event) for event in page], "searchedLogStreams": []}
        if len(events) > limit:
            result["nextToken"] = _make_token(page[-1])
        return result

    @operation("logs", "GetLogEvents")
    async def get_log_events(self, request: Params) -> Result:
        """Lines of one stream. The forward token comes back unchanged when nothing is new."""
        name = request["logStreamName"]
        files = self._streams(request)
        if name not in files:
            raise NotFound(f"The specified log stream does not exist: {name!r}.", fix=did_you_mean(name, files))
        events = [event for event in read_events(name, files[name]) if _inside(event, request)]
        start = _read_position(request.get("nextToken"))
        limit = request.get("limit", MAX_EVENTS)
        later = [event for event in events if event.offset >= start]
        from_head = request.get("startFromHead", False) or "nextToken" in request
        page = later[:limit] if from_head else later[-limit:]
        end = page[-1].offset + 1 if page else start
        return {
            "events": [{"timestamp": e.timestamp, "message": e.message, "ingestionTime": e.timestamp} for e in page],
            "nextForwardToken": f"f/{end}",
            "nextBackwardToken": f"b/{page[0].offset if page else start}",
        }

    def _streams(self, request: Params) -> dict[str, Path]:
        """The streams of the group that the request names."""
        group = request.get("logGroupName") or Arn.parse(request.get("logGroupIdentifier", "")).name
        name = group.removeprefix(GROUP)
        folder = self._folder / name
        known = self._endpoints.find(name) is not None or folder.is_dir()
        if not group.startswith(GROUP) or "/" in name or name in ("", ".", "..") or not known:
            groups = (GROUP + endpoint.name for endpoint in self._endpoints.all())
            raise NotFound(f"The specified log group does not exist: {group!r}.", fix=did_you_mean(group, groups))
        files = sorted(folder.glob("*.log")) + sorted(folder.glob("*/*.log"))
        return {str(path.relative_to(folder).with_suffix("")): path for path in files}

    def _describe(self, request: Params, name: str, path: Path) -> dict[str, Any]:
        stat = path.stat()
        group = request.get("logGroupName", "")
        resource = f"log-group:{group}:log-stream:{name}"
        return {
            "logStreamName": name,
            "creationTime": int(stat.st_ctime * 1000),
            "lastEventTimestamp": int(stat.st_mtime * 1000),
            "lastIngestionTime": int(stat.st_mtime * 1000),
            "arn": str(Arn("logs", self._region, self._account_id, resource)),
            "storedBytes": stat.st_size,
        }


def read_events(stream: str, path: Path) -> Iterator[Event]:
    """The lines at the end of a log file. A line without a time of its own has that of the line before."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            offset = max(0, size - READ_BYTES)
            file.seek(offset)
            if offset:
                offset += len(file.readline())  # the rest of a line that begins further up
            content = file.read()
            timestamp = int(path.stat().st_ctime * 1000)
    except OSError:
        return
    for line in content.splitlines(keepends=True):
        text = line.decode("utf-8", "replace").rstrip()
        if (stamp := _STAMP.match(text)) is not None:
            timestamp = int(datetime.fromisoformat(stamp[1]).replace(tzinfo=UTC).timestamp() * 1000)
            text = text[stamp.end() :]
        if text:
            yield Event(stream, offset, timestamp, text)
        offset += len(line)


def _chosen(request: Params, names: list[str]) -> list[str]:
    wanted = request.get("logStreamNames")
    prefix = request.get("logStreamNamePrefix", "")
    return [name for name in names if name.startswith(prefix) and (wanted is None or name in wanted)]


def _inside(event: Event, request: Params) -> bool:
    start, end = request.get("startTime", 0), request.get("endTime", 1 << 62)
    return bool(start <= event.timestamp <= end)


def _terms(pattern: str) -> list[str]:
    """A filter pattern of plain terms, all of which a line must hold."""
    if any(sign in pattern for sign in "{}[]?%-"):
        raise Unsupported(
            f"The filter pattern {pattern!r} is not served here.", fix="Use plain terms; a line must hold all of them."
        )
    return [term.strip('"') for term in re.findall(r'"[^"]*"|\S+', pattern)]


Order = tuple[int, str, int]


def _order(event: Event) -> Order:
    return event.timestamp, event.stream, event.offset


def _filtered(event: Event) -> dict[str, Any]:
    return {
        "logStreamName": event.stream,
        "timestamp": event.timestamp,
        "message": event.message,
        "ingestionTime": event.timestamp,
        "eventId": f"{event.timestamp}{event.offset:012d}",
    }


def _make_token(event: Event) -> str:
    return f"{event.timestamp}:{event.offset}:{event.stream}"


def _read_token(token: str) -> Order:
    timestamp, _, rest = token.partition(":")
    offset, _, stream = rest.partition(":")
    if not (timestamp.isdigit() and offset.isdigit()):
        raise InvalidInput("The specified nextToken is invalid.")
    return int(timestamp), stream, int(offset)


def _read_position(token: str | None) -> int:
    if token is None:
        return 0
    if not re.fullmatch(r"[fb]/\d{1,18}", token):
        raise InvalidInput("The specified nextToken is invalid.")
    return int(token[2:])
