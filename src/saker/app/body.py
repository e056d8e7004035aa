"""Reads request bodies within bounds: of size, of time between two parts, and of memory over all requests together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from saker.core.errors import DeadlineExceeded, InvalidInput, SakerError, TooLarge, Unavailable
from saker.core.http import Request

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class ClientGone(Exception):  # tells of the client; nothing failed
    """Nobody waits for the answer any more."""


class BodyReader:
    """Reads bodies. One for the whole gateway, since the memory it bounds is shared."""

    def __init__(self, max_bytes: int, part_timeout_s: float, total_bytes: int) -> None:
        """
        Args:
            max_bytes: The largest body.
            part_timeout_s: The longest silence of a client in the middle of its body.
            total_bytes: What all bodies being read may hold together.
        """
        self._max_bytes = max_bytes
        self._part_timeout_s = part_timeout_s
        self._free_bytes = total_bytes

    async def read(self, request: Request, receive: Receive) -> bytes:
        """The whole body.

        Raises:
            TooLarge: It is larger than the limit; told from the header where there is one, before a byte is read.
            DeadlineExceeded: The client fell silent in the middle of it.
            Unavailable: The bodies of other requests fill the memory set aside for them.
            InvalidInput: The Content-Length header is no number.
            ClientGone: The client left.
        """
        declared = request.header("content-length")
        if not declared and not request.header("transfer-encoding"):
            return b""
        if declared and not (declared.isascii() and declared.isdigit()):
            raise InvalidInput("The Content-Length header is not a number.")
        self._check(int(declared or 0))
        return await self._collect(receive)

    async def _collect(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            while True:
                message = await self._next(receive)
                part = message.get("body", b"")
                size += len(part)
                self._free_bytes -= len(part)
                self._check(size)
                parts.append(part)
                if not message.get("more_body", False):
                    return parts[0] if len(parts) == 1 else b"".join(parts)
        finally:
            self._free_bytes += size

    async def _next(self, receive: Receive) -> MutableMapping[str, Any]:
        try:
            async with asyncio.timeout(self._part_timeout_s):
                message = await receive()
        except TimeoutError:
            raise DeadlineExceeded(
                f"The rest of the request body did not come within {self._part_timeout_s:g} s.", code="RequestTimeout"
            ) from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        return message

    def _check(self, size: int) -> None:
        error: SakerError | None = None
        if size > self._max_bytes:
            error = TooLarge(
                f"The request body has {size} bytes or more; the limit is {self._max_bytes}.",
                fix="Send less, or raise SAKER_MAX_BODY_BYTES.",
                code="RequestEntityTooLarge",
            )
        elif self._free_bytes < 0:
            error = Unavailable("Too many large requests are being read at the moment.", fix="Try again.")
        if error is not None:
            raise error
