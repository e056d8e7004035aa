"""What happens to every request, in order, as one ASGI application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from saker.access import allow
from saker.app.body import BodyReader, ClientGone
from saker.core import ids
from saker.core.errors import Internal, SakerError
from saker.core.http import Request, Response
from saker.core.principal import Principal
from saker.doors.base import Door
from saker.telemetry import Metrics

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
T = TypeVar("T")

_NOBODY = Principal(account_id="", arn="", key_id="")
"""Who calls where no credentials are needed."""

_log = logging.getLogger(__name__)


class Gateway:
    """Answers every request: default deny, one door for each dialect, errors in the dialect's own words."""

    def __init__(self, doors: Sequence[Door], body: BodyReader, metrics: Metrics) -> None:
        """
        Args:
            doors: Asked in order; the last one claims everything.
        """
        self._doors = doors
        self._body = body
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, by ASGI 3."""
        request = _head(scope)
        request_id = ids.request_id()
        door = next(door for door in self._doors if door.claims(request))
        with self._metrics.measure(door.name) as measured, suppress(ClientGone):
            response = await self._answer(door, request, request_id, receive)
            measured.status = response.status
            await _send(response, send, receive)

    async def _answer(self, door: Door, request: Request, request_id: str, receive: Receive) -> Response:
        """The chain: read, authenticate, understand, authorize, run. What any step raises becomes an error response."""
        try:
            request.body = await self._body.read(request, receive)
        except SakerError as error:
            response = door.error(request, error, request_id)
            response.headers.append(("connection", "close"))  # what is left of the body shall not be read
            return response
        try:
            if door.is_open(request):
                return await door.find(request, request_id).run(_NOBODY)
            principal = door.authenticate(request)
            call = door.find(request, request_id)
            allow(principal, call.action, call.resource)
            return await _unless_gone(call.run(principal), receive)
        except SakerError as error:
            if error.fault == "server":
                _log.warning("request %s at door %s: %s", request_id, door.name, error)
            return door.error(request, error, request_id)
        except ClientGone:
            raise
        except Exception:  # whatever it is, the caller gets an answer and the log the cause
            _log.exception("request %s at door %s failed", request_id, door.name)
            fault = Internal(f"A fault in Saker stopped request {request_id}.", fix="The platform's log has the cause.")
            return door.error(request, fault, request_id)


def _head(scope: Scope) -> Request:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return Request(
        method=scope["method"],
        raw_path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
    )


async def _unless_gone(work: Coroutine[Any, Any, T], receive: Receive) -> T:
    """The work's result; the work is cancelled when the client leaves, so that it frees what it holds.

    Raises:
        ClientGone: The client left first.
    """
    task = asyncio.current_task()
    assert task is not None  # a server runs each request in one
    watcher = asyncio.ensure_future(_watch(receive, task))
    try:
        return await work
    except asyncio.CancelledError:
        if watcher.done() and not task.uncancel():
            raise ClientGone from None
        raise  # it was this request that was cancelled: the server is shutting down
    finally:
        watcher.cancel()


async def _watch(receive: Receive, task: asyncio.Task[Any]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    task.cancel()


async def _send(response: Response, send: Send, receive: Receive) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    if isinstance(response.body, bytes):
        headers.append((b"content-length", str(len(response.body)).encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})
        return
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await _unless_gone(_pump(response.body, send), receive)


async def _pump(parts: AsyncIterator[bytes], send: Send) -> None:
    """Send the parts as they come, and close their source whatever happens."""
    try:
        async for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        close = getattr(parts, "aclose", None)
        if close is not None:
            await close()
