"""Pages of records: filtered, sorted, continued by an opaque token. Pure."""

from __future__ import annotations

import base64
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import msgspec

from saker.core.errors import InvalidInput


class Listed(Protocol):
    """What every listed record has."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def created_at(self) -> float:
        """Seconds since the epoch."""
        ...


R = TypeVar("R", bound=Listed)


@dataclass(frozen=True, slots=True)
class Query:
    """Which records, in which order, how many."""

    name_contains: str = ""
    created_after: float | None = None
    created_before: float | None = None
    sort_by: str = "created_at"
    """An attribute of the record: "name", "created_at", "status", "modified_at"."""
    is_descending: bool = True
    limit: int = 10
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Some of the records, and how to go on."""

    items: list[R]
    token: str | None
    """Continues after the last item; None at the end."""


def page(records: Iterable[R], query: Query, keep: Callable[[R], bool] = lambda _: True) -> Page[R]:
    """The next page. Records added or deleted between two pages neither repeat nor hide others.

    Raises:
        InvalidInput: The token is not one of this listing.
    """
    kept = [record for record in records if _matches(record, query) and keep(record)]
    kept.sort(key=lambda record: _sort_key(record, query), reverse=query.is_descending)
    if query.token is not None:
        last = _read_token(query.token, query)
        after = operator.lt if query.is_descending else operator.gt
        kept = [record for record in kept if after(_sort_key(record, query), last)]
    items = kept[: query.limit]
    has_more = len(kept) > query.limit
    return Page(items, _make_token(_sort_key(items[-1], query), query) if has_more else None)


def _matches(record: Listed, query: Query) -> bool:
    return (
        query.name_contains.casefold() in record.name.casefold()
        and (query.created_after is None or record.created_at >= query.created_after)
        and (query.created_before is None or record.created_at <= query.created_before)
    )


Key = tuple[float, str, str]


def _sort_key(record: Listed, query: Query) -> Key:
    value = getattr(record, query.sort_by)
    # Names are unique and break ties, so that a key names one place in the order.
    return (value, "", record.name) if isinstance(value, float) else (0.0, str(value), record.name)


def _make_token(key: Key, query: Query) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((query.sort_by, query.is_descending, *key))).decode()


def _read_token(token: str, query: Query) -> Key:
    try:
        content = base64.b64decode(token, altchars=b"-_", validate=True)
        sort_by, is_descending, value, text, name = msgspec.json.decode(content, type=tuple[str, bool, float, str, str])
        if (sort_by, is_descending) != (query.sort_by, query.is_descending):
            raise ValueError(sort_by)
    except (ValueError, msgspec.DecodeError):
        raise InvalidInput("The pagination token is invalid.", code="ValidationException") from None
    return value, text, name
