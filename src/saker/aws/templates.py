"""Matches a path against the URI templates of a REST service's operations.

The most literal template wins; among equals the one that asks for more of the query and the headers. Where no template
has all the members that it requires, one that lacks some matches still, so that validation can name what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote

from saker.core.http import Request

if TYPE_CHECKING:
    from botocore.model import OperationModel

_LABEL = re.compile(r"\{([^}]+)\}")


class Rank(NamedTuple):
    """How exactly a template fits; greater is better."""

    is_complete: bool
    """Whether the request has all query and header members that the operation requires."""
    literal_characters: int
    has_single_segments: bool
    """Whether no label takes several path segments."""
    conditions: int
    """How much of the query and the headers the operation asks for; negative where some of it is missing."""
    is_current: bool


class Match(NamedTuple):
    """An operation that fits a request."""

    rank: Rank
    operation: OperationModel
    uri: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Template:
    operation: OperationModel
    pattern: re.Pattern[str]
    labels: tuple[str, ...]
    literal_query: tuple[tuple[str, str], ...]
    """Names that must stand in the query; "" stands for any value."""
    required_query: frozenset[str]
    required_headers: frozenset[str]
    literal_characters: int
    is_greedy: bool

    def match(self, request: Request) -> Match | None:
        found = self.pattern.fullmatch(request.raw_path)
        if found is None or not all(_has(request, name, value) for name, value in self.literal_query):
            return None
        uri = {label: unquote(value) for label, value in zip(self.labels, found.groups(), strict=True)}
        return Match(self._rank(request), self.operation, uri)

    def _rank(self, request: Request) -> Rank:
        missing = len(self.required_headers - request.headers.keys())
        missing += len(self.required_query - request.parameters.keys()) if self.required_query else 0
        wanted = len(self.literal_query) + len(self.required_query) + len(self.required_headers)
        return Rank(
            is_complete=not missing,
            literal_characters=self.literal_characters,
            has_single_segments=not self.is_greedy,
            conditions=-missing if missing else wanted,
            is_current=not self.operation.deprecated,
        )


class TemplateTable:
    """All templates of one service."""

    def __init__(self, operations: Iterable[OperationModel]) -> None:
        self._by_method: dict[str, list[_Template]] = {}
        for operation in operations:
            self._by_method.setdefault(operation.http["method"], []).append(_compile(operation))

    def match(self, request: Request) -> Match | None:
        """The operation that fits the request best, or None."""
        found = [match for template in self._by_method.get(request.method, ()) if (match := template.match(request))]
        return max(found, key=lambda match: match.rank, default=None)


def _compile(operation: OperationModel) -> _Template:
    path, _, query = operation.http["requestUri"].partition("?")
    pieces = _LABEL.split(path.rstrip("/") or "/")
    literals, labels = pieces[::2], pieces[1::2]
    pattern = re.escape(literals[0])
    for label, literal in zip(labels, literals[1:], strict=True):
        pattern += ("(.+)" if label.endswith("+") else "([^/]+)") + re.escape(literal)
    located = _required_members(operation)
    return _Template(
        operation=operation,
        pattern=re.compile(pattern + "/?"),  # botocore's paths end in a slash for some services and not for others
        labels=tuple(label.rstrip("+") for label in labels),
        literal_query=tuple(parse_qsl(query, keep_blank_values=True)),
        required_query=frozenset(located["querystring"]),
        required_headers=frozenset(name.lower() for name in located["header"]),
        literal_characters=sum(map(len, literals)),
        is_greedy=any(label.endswith("+") for label in labels),
    )


def _required_members(operation: OperationModel) -> dict[str, list[str]]:
    """The wire names of the required members that travel in the query and in headers."""
    located: dict[str, list[str]] = {"querystring": [], "header": []}
    shape = operation.input_shape
    for name in shape.required_members if shape is not None else ():
        serialization = shape.members[name].serialization
        if serialization.get("location") in located:
            located[serialization["location"]].append(serialization.get("name", name))
    return located


def _has(request: Request, name: str, value: str) -> bool:
    values = request.parameters.get(name)
    return values is not None and (not value or value in values)
