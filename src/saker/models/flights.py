"""One run for all who ask for the same thing at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from saker.models.base import Progress, ProgressCallback

T = TypeVar("T")


@dataclass(eq=False)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    listeners: list[ProgressCallback] = field(default_factory=list)
    last: Progress | None = None


class SingleFlight(Generic[T]):
    """Runs each key at most once at a time; late callers join the running one and hear its progress."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight[T]] = {}

    async def run(
        self, key: str, work: Callable[[ProgressCallback], Coroutine[Any, Any, T]], progress: ProgressCallback
    ) -> T:
        """The result of `work`, done for this caller or for one that came before.

        A caller that is cancelled leaves. With its last caller the work is cancelled too, and ends before this returns.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._start(key, work)
        elif flight.last is not None:
            progress(flight.last)
        flight.listeners.append(progress)
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.listeners.remove(progress)
            if not flight.listeners and not flight.task.done():
                flight.task.cancel()
                self._forget(key, flight)  # whoever asks from here on starts anew
                await asyncio.wait([flight.task])

    def _start(self, key: str, work: Callable[[ProgressCallback], Coroutine[Any, Any, T]]) -> _Flight[T]:
        def tell(progress: Progress) -> None:
            flight.last = progress
            for listener in list(flight.listeners):
                listener(progress)

        flight = _Flight(asyncio.create_task(work(tell)))
        flight.task.add_done_callback(lambda task: self._forget(key, flight))
        self._flights[key] = flight
        return flight

    def _forget(self, key: str, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.task.done() and not flight.task.cancelled():
            flight.task.exception()  # every caller has left; nobody else will look at it
