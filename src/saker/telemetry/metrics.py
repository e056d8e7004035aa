"""Counts what the gateway did. In memory, with few label values, so it cannot grow."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

CLIENT_GONE = 499
"""The status counted for a client that left before its answer; as nginx counts it."""


@dataclass(slots=True)
class Measured:
    """One request while it runs."""

    status: int = CLIENT_GONE


class Metrics:
    """Requests by door and status, and the time they took."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        """By door and HTTP status."""
        self.seconds: dict[str, float] = {}
        """By door: from head to last byte."""
        self.running = 0

    @contextmanager
    def measure(self, door: str) -> Iterator[Measured]:
        """Count one request; the body of the `with` sets its status."""
        measured = Measured()
        self.running += 1
        start = time.perf_counter()
        try:
            yield measured
        finally:
            self.running -= 1
            self.requests[door, measured.status] += 1
            self.seconds[door] = self.seconds.get(door, 0.0) + time.perf_counter() - start
