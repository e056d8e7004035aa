"""Tells those who wait, and those who listen, that something has changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

log = logging.getLogger(__name__)


class Changes:
    """Wakes waiters and calls listeners."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[], None]] = []
        self._waiters: list[asyncio.Future[None]] = []

    def announce(self) -> None:
        """Some set has changed."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        for call in self.listeners:
            try:
                call()
            except Exception:
                log.exception("A listener failed.")

    async def next(self) -> None:
        """Return after the next change of any set."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            with suppress(ValueError):
                self._waiters.remove(waiter)
