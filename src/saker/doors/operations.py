"""Marks the functions that implement AWS operations, and finds them again.

A door's operation is one method: it takes the request's members as botocore names them and returns the response's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Params = Mapping[str, Any]
"""Members as botocore names them; a request's are checked against the service model before its handler runs."""

Result = dict[str, Any]
Handler = Callable[[Params], Awaitable[Result]]
Stream = AsyncIterator[dict[str, Any]]
"""Events of a response stream: {event name: members}."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What `operation` says of a method."""

    service: str
    name: str
    kind: str
    member: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One implemented operation."""

    mark: Mark
    handler: Handler


F = TypeVar("F", bound=Callable[..., Any])


def operation(service: str, name: str, *, kind: str = "", member: str = "") -> Callable[[F], F]:
    """Mark a method as the implementation of an operation.

    Args:
        service: botocore's service name.
        name: The operation, as botocore spells it.
        kind: The type in the ARN of what it acts on ("endpoint"); "" where it acts on no single resource.
        member: The request member that names that resource; a member that holds an ARN is taken whole.
    """

    def mark(function: F) -> F:
        function.__dict__["_operation"] = Mark(service, name, kind, member)
        return function

    return mark


def marks(cls: type) -> list[Mark]:
    """The operations that a class implements."""
    return [value._operation for value in vars(cls).values() if hasattr(value, "_operation")]


def collect(*holders: object) -> dict[tuple[str, str], Operation]:
    """The operations that these objects implement, by service and name."""
    found: dict[tuple[str, str], Operation] = {}
    for holder in holders:
        for name, value in vars(type(holder)).items():
            if hasattr(value, "_operation"):
                mark: Mark = value._operation
                found[mark.service, mark.name] = Operation(mark, getattr(holder, name))
    return found
