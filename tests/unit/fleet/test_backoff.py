"""Waits grow while things fail, and a set that never ran gives up."""

from __future__ import annotations

from saker.engine.messages import Unfit
from saker.fleet.backoff import LONGEST_WAIT_S, STABLE_AFTER_S, History, after_crash, after_failed_start, after_ready

CAUSE = Unfit("The worker did not come up.")


def fail(history: History, now: float, *, began_at: float | None = None, is_final: bool = False) -> History:
    began_at = now if began_at is None else began_at
    return after_failed_start(history, CAUSE, is_final=is_final, began_at=began_at, now=now, attempts=3)


def test_waits_after_failed_starts_double_up_to_a_cap() -> None:
    history = after_ready(History())
    waits = []
    for number in range(9):
        now = 1000.0 * number
        history = fail(history, now)
        waits.append(history.retry_at - now)

    assert [1, 2, 4, 8, 16, 32, LONGEST_WAIT_S, LONGEST_WAIT_S, LONGEST_WAIT_S] == waits


def test_a_set_that_was_never_ready_gives_up_after_the_last_attempt() -> None:
    history = fail(fail(History(), 0), 10)
    assert not history.has_given_up

    history = fail(history, 20)

    assert history.has_given_up
    assert history.failure is CAUSE


def test_starts_that_fail_together_count_once() -> None:
    history = History()
    for now in (5.0, 5.1, 5.2):
        history = fail(history, now, began_at=0)

    assert history.failed_starts == 1
    assert history.retry_at == 6


def test_an_unfit_model_is_given_up_at_once() -> None:
    assert fail(History(), 0, is_final=True).has_given_up


def test_a_set_that_was_ready_names_its_failure_and_goes_on_trying() -> None:
    history = fail(after_ready(History()), 0, is_final=True)

    assert history.failure is CAUSE
    assert not history.has_given_up


def test_a_ready_replica_ends_the_row_of_failures() -> None:
    history = after_ready(fail(fail(fail(History(), 0), 10), 20))

    assert history.failure is None
    assert history.failed_starts == 0


def test_the_first_death_of_a_ready_replica_costs_no_wait_and_further_ones_do() -> None:
    history = after_ready(History())
    waits = []
    for number in range(4):
        now = 10.0 * number
        history = after_crash(history, ready_since=now - 1, now=now)
        waits.append(history.retry_at - now)

    assert [0, 1, 2, 4] == waits
    assert history.restarts == 4


def test_a_replica_that_was_ready_for_long_starts_the_count_anew() -> None:
    history = after_crash(after_crash(History(), ready_since=0, now=1), ready_since=2, now=3)

    history = after_crash(history, ready_since=4, now=4 + STABLE_AFTER_S)

    assert history.crashes == 1
    assert history.retry_at == 4 + STABLE_AFTER_S


def test_replicas_that_die_together_are_all_replaced_at_once() -> None:
    history = after_crash(after_crash(History(), ready_since=0, now=5), ready_since=1, now=5.1)

    assert history.retry_at == 5
    assert history.restarts == 2
