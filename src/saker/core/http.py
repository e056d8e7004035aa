"""One HTTP request and one response as every door sees them, independent of the server that carries them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl


@dataclass
class Request:
    """One request, read whole."""

    method: str
    raw_path: str
    """As sent: percent-encoding untouched, without the query. SigV4 signs this form."""
    query: str
    """As sent, without the question mark."""
    headers: Mapping[str, str]
    """Names in lower case; a header sent twice is joined with ",", as SigV4 joins it."""
    body: bytes = b""
    route: Any = None
    """Where the door that took the request found it to lead, so that it looks only once."""

    @cached_property
    def parameters(self) -> dict[str, list[str]]:
        """The query, decoded; every value of every name, in order."""
        found: dict[str, list[str]] = {}
        for name, value in parse_qsl(self.query, keep_blank_values=True):
            found.setdefault(name, []).append(value)
        return found

    def header(self, name: str, default: str = "") -> str:
        """A header's value; `name` in lower case."""
        return self.headers.get(name, default)


@dataclass(slots=True)
class Response:
    """What a door answers: a body at once, or one that is sent as it comes."""

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | AsyncIterator[bytes] = b""
    """An iterator is closed when its client goes away; it frees what it holds in a finally block."""
