"""What the operations of all SageMaker resources share: times, tags, listings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from saker.doors.operations import Params
from saker.serving.listing import Query

SORT_KEYS = {
    "Name": "name",
    "CreationTime": "created_at",
    "LastModifiedTime": "modified_at",
    "Status": "status",
}


def moment(seconds: float) -> datetime:
    """A stored time, for the wire."""
    return datetime.fromtimestamp(seconds, UTC)


def seconds(value: datetime | None) -> float | None:
    """A time from the wire, as stored times are kept."""
    return None if value is None else value.timestamp()


def read_tags(params: Params) -> dict[str, str]:
    """The `Tags` member as a mapping."""
    return {tag["Key"]: tag["Value"] for tag in params.get("Tags", ())}


def write_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """A mapping as a `Tags` member."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def read_query(params: Params) -> Query:
    """The members that all List operations share. The defaults are AWS's: newest first, ten to a page."""
    return Query(
        name_contains=params.get("NameContains", ""),
        created_after=seconds(params.get("CreationTimeAfter")),
        created_before=seconds(params.get("CreationTimeBefore")),
        sort_by=SORT_KEYS[params.get("SortBy", "CreationTime")],
        is_descending=params.get("SortOrder", "Descending") == "Descending",
        limit=params.get("MaxResults", 10),
        token=params.get("NextToken"),
    )


def with_token(result: dict[str, Any], token: str | None) -> dict[str, Any]:
    """The result of a List operation, with its continuation where there is one."""
    return result | ({"NextToken": token} if token else {})


def without(params: Params, *members: str) -> dict[str, Any]:
    """What the caller gave besides these members, kept to be returned as it was."""
    return {name: value for name, value in params.items() if name not in members}
