"""What a replica set has been through, and how long it waits before the next start.

Pure: each event gives a new history. Replicas that fail together count once, so that a set of
eight does not give up eight times as fast as a set of one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from saker.engine.messages import Unfit

LONGEST_WAIT_S = 60.0
STABLE_AFTER_S = 60.0
"""A replica that was ready for so long and dies starts the count anew."""


@dataclass(frozen=True, slots=True)
class History:
    """The starts and deaths of one set's replicas under one spec."""

    failed_starts: int = 0
    """In a row."""
    crashes: int = 0
    """Deaths of ready replicas in quick succession."""
    counted_at: float = -math.inf
    """The last failure that counted."""
    retry_at: float = -math.inf
    """No start before this."""
    was_ready: bool = False
    failure: Unfit | None = None
    restarts: int = 0

    @property
    def has_given_up(self) -> bool:
        """Whether nothing is started any more: what never ran here would not run now."""
        return self.failure is not None and not self.was_ready


def after_ready(history: History) -> History:
    """A replica has become ready."""
    return replace(history, failed_starts=0, failure=None, was_ready=True)


def after_failed_start(
    history: History, cause: Unfit, *, is_final: bool, began_at: float, now: float, attempts: int
) -> History:
    """A start has failed.

    Args:
        is_final: Whether trying again would not help.
        began_at: When the start began; one that began before the last failure is part of that failure.
        attempts: Failed starts in a row before the set gives up.
    """
    if began_at < history.counted_at and not is_final:
        return history
    failed = history.failed_starts + 1
    return replace(
        history,
        failed_starts=failed,
        counted_at=now,
        retry_at=now + _wait(failed),
        failure=cause if is_final or failed >= attempts else history.failure,
    )


def after_crash(history: History, *, ready_since: float, now: float) -> History:
    """A ready replica has died. The first time it is replaced at once, then after longer and longer waits."""
    history = replace(history, restarts=history.restarts + 1)
    if ready_since < history.counted_at:
        return history
    crashes = 1 if now - ready_since >= STABLE_AFTER_S else history.crashes + 1
    return replace(history, crashes=crashes, counted_at=now, retry_at=now + _wait(crashes - 1))


def _wait(failures: int) -> float:
    """Seconds: 0, 1, 2, 4, … 60."""
    return min(LONGEST_WAIT_S, 2.0 ** (failures - 1)) if failures else 0.0
