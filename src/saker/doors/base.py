"""What a door offers to the gateway, and what every error looks like on the wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from saker.core.errors import SakerError
from saker.core.http import Request, Response
from saker.core.principal import Principal


@dataclass(frozen=True, slots=True)
class Sample:
    """A request that reaches one route or operation, for the test that walks all of them without credentials."""

    name: str
    request: Request
    is_open: bool = False


class Call(Protocol):
    """One request, understood: what it wants to do to what."""

    @property
    def action(self) -> str:
        """As IAM names it: "sagemaker:InvokeEndpoint"."""
        ...

    @property
    def resource(self) -> str:
        """The ARN it acts on, or "*"."""
        ...

    async def run(self, principal: Principal) -> Response:
        """Do it. The caller has been authorized for `action` on `resource`.

        Raises:
            SakerError: It failed; nothing is half done.
        """
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """A call whose work is a function of nothing: all it needs was read from the request."""

    action: str
    resource: str
    work: Callable[[], Awaitable[Response]]

    async def run(self, principal: Principal) -> Response:
        """Do it."""
        del principal  # the account is one
        return await self.work()


class Door(Protocol):
    """One dialect. It translates requests into calls and errors into responses, and decides nothing."""

    name: str
    """For logs and metrics."""

    def claims(self, request: Request) -> bool:
        """Whether this door answers the request, from its head alone. The gateway asks the doors in order."""
        ...

    def is_open(self, request: Request) -> bool:
        """Whether the request needs no credentials; only health checks are open."""
        ...

    def authenticate(self, request: Request) -> Principal:
        """Who calls.

        Raises:
            Unauthenticated: The request does not prove it.
        """
        ...

    def find(self, request: Request, request_id: str) -> Call:
        """What the request wants.

        Raises:
            SakerError: It is no request of this dialect.
        """
        ...

    def error(self, request: Request, error: SakerError, request_id: str) -> Response:
        """The error as this dialect words it."""
        ...

    def samples(self) -> Iterable[Sample]:
        """A request for every route, right except that it has no credentials."""
        ...
