"""The machine's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from saker.core.clock import SystemClock


def test_the_wall_clock_is_in_utc() -> None:
    now = SystemClock().now()

    assert timedelta(0) == now.utcoffset()
    assert abs(datetime.now(UTC) - now) < timedelta(seconds=5)


def test_the_monotonic_clock_does_not_run_backwards() -> None:
    clock = SystemClock()

    earlier = clock.monotonic()

    assert earlier <= clock.monotonic()
