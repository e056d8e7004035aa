"""What waits for the answer to one request: a stream of chunks, all chunks at once, or an embedding."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from saker.core.errors import SakerError
from saker.engine.messages import Chunk, Embedded


class ChunkStream:
    """The chunks of one request as they come; an async iterator to be closed by whoever leaves it early.

    A plain deque with one future, because a token through an `asyncio.Queue` costs the gateway several times as much.
    """

    __slots__ = ("_chunks", "_error", "_forget", "_left", "_waiter")

    def __init__(self, answers: int, forget: Callable[[], None]) -> None:
        """
        Args:
            forget: Tells the worker that nobody waits any more; called when the stream is closed before its end.
        """
        self._chunks: deque[Chunk] = deque()
        self._left = answers
        self._forget = forget
        self._error: SakerError | None = None
        self._waiter: asyncio.Future[None] | None = None

    def take(self, chunk: Chunk) -> bool:
        """Pass a chunk on; whether it was the last one."""
        self._chunks.append(chunk)
        if chunk.finish is not None:
            self._left -= 1
        self._wake()
        return not self._left

    def fail(self, error: SakerError) -> None:
        """End with an error, after the chunks that came before it."""
        self._error = error
        self._wake()

    def give_up(self, error: SakerError) -> None:
        """End with an error and free the request's slot, unless all chunks have come."""
        if self._left:
            self._forget()
            self.fail(error)

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def __aiter__(self) -> ChunkStream:
        return self

    async def __anext__(self) -> Chunk:
        """
        Raises:
            SakerError: The request failed.
        """
        while not self._chunks:
            if self._error is not None:
                error, self._error, self._left = self._error, None, 0
                raise error
            if not self._left:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._chunks.popleft()

    async def aclose(self) -> None:
        """Drop what is left and free the request's slot. Safe to call twice."""
        self._chunks.clear()
        if self._left:
            self._left = 0
            self._error = None
            self._forget()
            self._wake()


T = TypeVar("T")


class _Waiting(Generic[T]):
    """One future for the whole answer."""

    __slots__ = ("future",)

    def __init__(self) -> None:
        self.future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def fail(self, error: SakerError) -> None:
        """End with an error."""
        if not self.future.done():
            self.future.set_exception(error)

    def _finish(self, result: T) -> None:
        if not self.future.done():
            self.future.set_result(result)


class AllChunks(_Waiting[list[Chunk]]):
    """Collects the chunks of one request."""

    __slots__ = ("_chunks", "_left")

    def __init__(self, answers: int) -> None:
        super().__init__()
        self._chunks: list[Chunk] = []
        self._left = answers

    def take(self, chunk: Chunk) -> bool:
        """Keep a chunk; whether it was the last one."""
        self._chunks.append(chunk)
        if chunk.finish is not None:
            self._left -= 1
            if not self._left:
                self._finish(self._chunks)
        return not self._left


class OneEmbedding(_Waiting[Embedded]):
    """Waits for an embedding."""

    __slots__ = ()

    def take(self, report: Embedded) -> None:
        """The embedding has come."""
        self._finish(report)


Pending = ChunkStream | AllChunks | OneEmbedding
