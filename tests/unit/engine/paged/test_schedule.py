"""Who computes what in the next step."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from saker.engine.paged.blocks import blocks_for
from saker.engine.paged.schedule import Cached, Limits, Plan, schedule


@dataclass(eq=False)
class FakeJob:
    """A sequence with blocks of its own for what it has computed."""

    length: int
    computed: int = 0
    priority: int = 0

    def missing_blocks(self, tokens: int) -> int:
        return blocks_for(self.computed + tokens) - blocks_for(self.computed)

    def own_blocks(self) -> int:
        return blocks_for(self.computed)


def plan(
    running: list[FakeJob],
    waiting: list[FakeJob],
    available: int = 100,
    tokens: int = 64,
    sequences: int = 8,
    cached: Cached = Cached(),  # noqa: B008 — frozen
) -> Plan[FakeJob]:
    return schedule(running, waiting, available, Limits(tokens, sequences), lambda _: cached)


def test_those_that_generate_go_before_those_that_read() -> None:
    reading, generating = FakeJob(500), FakeJob(10, 9)

    assert [(generating, 1), (reading, 63)] == plan([reading, generating], []).rows


def test_a_long_prompt_is_read_in_pieces() -> None:
    job = FakeJob(100)
    assert [(job, 64)] == plan([], [job]).rows
    job.computed = 64
    assert [(job, 36)] == plan([job], []).rows


def test_newcomers_get_what_the_running_leave() -> None:
    first, second, third = FakeJob(10), FakeJob(60), FakeJob(5)
    found = plan([FakeJob(10, 9)], [first, second, third])

    assert [1, 10, 53] == [tokens for _, tokens in found.rows]
    assert [first, second] == found.admitted


def test_nobody_overtakes_one_that_does_not_fit() -> None:
    assert [] == plan([], [FakeJob(200), FakeJob(1)], available=6).rows


@pytest.mark.parametrize("sequences", [1, 2])
def test_no_more_run_than_may(sequences: int) -> None:
    assert sequences == len(plan([], [FakeJob(1), FakeJob(1), FakeJob(1)], sequences=sequences).rows)


def test_newcomers_leave_a_block_for_each_that_runs() -> None:
    running = [FakeJob(10, 9), FakeJob(10, 9)]

    assert [] == plan(running, [FakeJob(32)], available=2).admitted
    assert 1 == len(plan(running, [FakeJob(32)], available=3).admitted)


def test_what_the_cache_holds_need_not_be_computed() -> None:
    job = FakeJob(70)

    assert [(job, 6)] == plan([], [job], cached=Cached(blocks=2)).rows


def test_idle_blocks_of_the_cache_take_room_when_they_are_held() -> None:
    assert 1 == len(plan([], [FakeJob(70)], available=1, cached=Cached(blocks=2)).rows)
    assert [] == plan([], [FakeJob(70)], available=1, cached=Cached(blocks=2, idle=2)).rows


def test_the_last_gives_its_blocks_to_the_first() -> None:
    first, last = FakeJob(33, 32), FakeJob(10, 9)
    found = plan([first, last], [], available=0)

    assert ([(first, 1)], [last]) == (found.rows, found.preempted)


def test_the_last_stays_where_it_is_when_only_it_lacks_a_block() -> None:
    first, last = FakeJob(10, 9), FakeJob(33, 32)
    found = plan([first, last], [], available=0)

    assert ([(first, 1)], []) == (found.rows, found.preempted)


def test_nobody_comes_in_while_somebody_is_sent_away() -> None:
    found = plan([FakeJob(33, 32), FakeJob(10, 9)], [FakeJob(1)], available=0)

    assert [] == found.admitted


def test_the_more_important_takes_the_place_of_the_less_important() -> None:
    low, high = FakeJob(10, 9, priority=5), FakeJob(4, priority=0)
    found = plan([low], [high], sequences=1)

    assert ([], [low]) == (found.rows, found.preempted)
    assert [(high, 4)] == plan([], [high, low], sequences=1).rows


def test_equals_wait_for_a_place() -> None:
    running = FakeJob(10, 9)

    assert [] == plan([running], [FakeJob(4)], sequences=1).preempted


def test_nobody_is_sent_away_for_one_that_would_not_fit_even_then() -> None:
    low, high = FakeJob(10, 9, priority=5), FakeJob(3200)

    assert [] == plan([low], [high], available=5).preempted
