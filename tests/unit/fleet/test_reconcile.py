"""The fleet carries out its plans, tells who listens, and survives whatever its workers do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from saker.core.errors import Unavailable
from saker.fleet import Fleet
from saker.fleet.base import Limits, SetStatus, Wanted
from saker.fleet.capacity import GIB
from support.clock import FakeClock
from support.fleets import KEY, ScriptedLauncher, make_request, make_spec, until

LIMITS = Limits(start_timeout_s=100, start_attempts=3, drain_timeout_s=50, stop_grace_s=5)
OTHER = KEY._replace(endpoint="other")


@dataclass
class Setup:
    fleet: Fleet
    launcher: ScriptedLauncher
    clock: FakeClock
    available: int = 100 * GIB

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.fleet.wake()
        await settle()


async def settle() -> None:
    """Let everything that is due on the event loop happen."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def setup(tmp_path: Path) -> AsyncIterator[Setup]:
    launcher, clock = ScriptedLauncher(), FakeClock()
    made: list[Setup] = []
    fleet = Fleet(launcher, tmp_path, LIMITS, clock=clock, available_memory=lambda: made[0].available)
    made.append(Setup(fleet, launcher, clock))
    await fleet.start()
    yield made[0]
    await fleet.close()


async def bring_up(setup: Setup, count: int = 1, model: str = "model") -> None:
    setup.fleet.want(KEY, Wanted(make_spec(model), count))
    await settle()
    for worker in setup.launcher.workers:
        worker.become_ready()
    await settle()


async def test_a_wanted_set_starts_and_becomes_ready(setup: Setup) -> None:
    setup.fleet.want(KEY, Wanted(make_spec(), 2))
    await settle()
    assert SetStatus(wanted=2, starting=2) == setup.fleet.status(KEY)
    assert [] == list(setup.fleet.replicas(KEY))

    for worker in setup.launcher.workers:
        worker.become_ready()
    await settle()

    status = setup.fleet.status(KEY)
    assert (2, 0) == (status.ready, status.starting)
    assert status.description is not None
    assert len(setup.fleet.replicas(KEY)) == 2
    assert [KEY] == setup.fleet.keys()


async def test_an_unknown_set_has_an_empty_status(setup: Setup) -> None:
    assert SetStatus() == setup.fleet.status(OTHER)
    assert [] == list(setup.fleet.replicas(OTHER))
    setup.fleet.forget(OTHER)


async def test_a_dead_replica_is_replaced_at_once(setup: Setup) -> None:
    await bring_up(setup)
    setup.launcher.workers[0].exit("was killed by signal 9 (SIGKILL)")
    await settle()

    assert len(setup.launcher.workers) == 2
    assert SetStatus(wanted=1, starting=1, restarts=1, description=setup.fleet.status(KEY).description) == (
        setup.fleet.status(KEY)
    )


async def test_failed_starts_wait_longer_each_time_and_then_end_in_a_failure(setup: Setup) -> None:
    setup.fleet.want(KEY, Wanted(make_spec(), 1))
    await settle()
    for wait in (1, 2):
        setup.launcher.workers[-1].exit("exited with status 1; its last words: 'No module named saker'")
        launched = len(setup.launcher.workers)
        await setup.pass_time(wait - 0.5)
        assert launched == len(setup.launcher.workers)
        await setup.pass_time(0.6)
        assert launched + 1 == len(setup.launcher.workers)
    setup.launcher.workers[-1].exit("exited with status 1; its last words: 'No module named saker'")
    await setup.pass_time(1000)

    failure = setup.fleet.status(KEY).failure
    assert failure is not None
    assert "The worker did not come up: it exited with status 1" in failure.what
    assert "saker endpoints logs demo" in failure.fix
    assert len(setup.launcher.workers) == 3


async def test_an_unfit_model_is_given_up_at_once_and_says_why(setup: Setup) -> None:
    setup.fleet.want(KEY, Wanted(make_spec(), 1))
    await settle()
    setup.launcher.workers[0].be_unfit("No config.json.")
    await setup.pass_time(1000)

    failure = setup.fleet.status(KEY).failure
    assert failure is not None
    assert failure.what == "No config.json."
    assert len(setup.launcher.workers) == 1


async def test_a_new_wish_clears_the_failure_and_the_same_wish_does_not(setup: Setup) -> None:
    setup.fleet.want(KEY, Wanted(make_spec("bad"), 1))
    await settle()
    setup.launcher.workers[0].be_unfit("Bad.")
    await settle()
    setup.fleet.want(KEY, Wanted(make_spec("bad"), 1))
    await settle()
    assert setup.fleet.status(KEY).failure is not None

    setup.fleet.want(KEY, Wanted(make_spec("good"), 1))
    await settle()

    assert setup.fleet.status(KEY).failure is None
    assert len(setup.launcher.workers) == 2


async def test_a_launch_that_fails_counts_as_a_failed_start(setup: Setup) -> None:
    setup.launcher.refusals = ["No such file: '/missing/python'."] * 3
    setup.fleet.want(KEY, Wanted(make_spec(), 1))
    await settle()
    for _ in range(3):
        await setup.pass_time(60)

    failure = setup.fleet.status(KEY).failure
    assert failure is not None
    assert "could not be started (No such file: '/missing/python')" in failure.what


async def test_a_start_that_takes_too_long_is_killed_and_named(setup: Setup) -> None:
    setup.fleet.want(KEY, Wanted(make_spec(), 1))
    await settle()
    for _ in range(3):
        await setup.pass_time(100)
        await setup.pass_time(60)

    assert [["KILL"]] * 3 == [worker.signals for worker in setup.launcher.workers]
    failure = setup.fleet.status(KEY).failure
    assert failure is not None
    assert "within 100 s" in failure.what
    assert "start_timeout_s" in failure.fix


async def test_forgetting_drains_and_the_set_is_gone_when_its_last_process_is(setup: Setup) -> None:
    await bring_up(setup)
    replica = setup.fleet.replicas(KEY)[0]
    stream = replica.generate(make_request())
    setup.fleet.forget(KEY)
    await settle()
    assert setup.fleet.status(KEY).draining == 1
    assert [] == setup.launcher.workers[0].signals

    await stream.aclose()
    await settle()

    assert ["TERM"] == setup.launcher.workers[0].signals
    assert [] == setup.fleet.keys()


async def test_a_set_without_processes_is_forgotten_at_once(setup: Setup) -> None:
    setup.fleet.want(KEY, Wanted(make_spec(), 0))
    setup.fleet.forget(KEY)

    assert [] == setup.fleet.keys()


async def test_a_request_that_outlasts_the_drain_is_ended_with_the_reason(setup: Setup) -> None:
    await bring_up(setup)
    stream = setup.fleet.replicas(KEY)[0].generate(make_request())
    setup.fleet.forget(KEY)
    await settle()
    await setup.pass_time(51)

    with pytest.raises(Unavailable, match="50 s to finish"):
        await anext(stream)


async def test_a_process_that_ignores_the_request_to_end_is_killed(setup: Setup) -> None:
    await bring_up(setup)
    setup.launcher.workers[0].ends_when_asked = False
    setup.fleet.forget(KEY)
    await settle()
    assert ["TERM"] == setup.launcher.workers[0].signals

    await setup.pass_time(6)

    assert ["TERM", "KILL"] == setup.launcher.workers[0].signals
    assert [] == setup.fleet.keys()


async def test_a_changed_spec_replaces_one_replica_after_the_other(setup: Setup) -> None:
    await bring_up(setup, count=2)
    old = list(setup.fleet.replicas(KEY))
    setup.fleet.want(KEY, Wanted(make_spec("new"), 2))
    for number in (3, 4):
        await settle()
        assert number == len(setup.launcher.workers)
        assert setup.fleet.status(KEY).ready == 2
        setup.launcher.workers[-1].become_ready()
    await settle()

    assert not set(old) & set(setup.fleet.replicas(KEY))
    assert setup.fleet.status(KEY).ready == 2
    assert len(setup.launcher.workers) == 4


async def test_a_changed_spec_that_cannot_come_up_leaves_the_old_replicas(setup: Setup) -> None:
    await bring_up(setup)
    setup.fleet.want(KEY, Wanted(make_spec("bad"), 1))
    await settle()
    setup.launcher.workers[-1].be_unfit("Bad.")
    await setup.pass_time(1000)

    status = setup.fleet.status(KEY)
    assert status.ready == 1
    assert status.failure is not None


async def test_a_model_that_does_not_fit_into_memory_is_refused_with_the_figures(setup: Setup) -> None:
    setup.available = 2 * GIB
    setup.fleet.want(KEY, Wanted(make_spec(memory_bytes=3 * GIB), 1))
    await settle()

    failure = setup.fleet.status(KEY).failure
    assert failure is not None
    assert "3.00 GiB" in failure.what
    assert "2.00 GiB" in failure.what
    assert [] == setup.launcher.workers


async def test_a_start_waits_while_another_loads_into_the_same_memory(setup: Setup) -> None:
    setup.available = 4 * GIB
    setup.fleet.want(KEY, Wanted(make_spec("a", memory_bytes=3 * GIB), 1))
    setup.fleet.want(OTHER, Wanted(make_spec("b", memory_bytes=3 * GIB), 1))
    await settle()
    assert len(setup.launcher.workers) == 1
    assert setup.fleet.status(OTHER).failure is None

    setup.available = 1 * GIB
    setup.launcher.workers[0].become_ready()
    await settle()

    assert setup.fleet.status(KEY).ready == 1
    assert setup.fleet.status(OTHER).failure is not None


async def test_waiting_for_a_replica_ends_when_one_is_ready(setup: Setup) -> None:
    setup.fleet.want(KEY, Wanted(make_spec(), 1))
    waiting = asyncio.ensure_future(setup.fleet.wait_ready([OTHER, KEY], 10))
    await settle()
    assert not waiting.done()

    setup.launcher.workers[0].become_ready()

    await waiting


async def test_waiting_for_a_replica_that_is_ready_takes_no_time(setup: Setup) -> None:
    await bring_up(setup)

    await setup.fleet.wait_ready([KEY], 0)


async def test_waiting_for_a_replica_ends_with_the_failure_of_the_set(setup: Setup) -> None:
    setup.fleet.want(KEY, Wanted(make_spec(), 1))
    waiting = asyncio.ensure_future(setup.fleet.wait_ready([KEY], 10))
    await settle()
    setup.launcher.workers[0].be_unfit("No config.json.")

    with pytest.raises(Unavailable, match=r"No config\.json"):
        await waiting


@pytest.mark.parametrize("timeout_s", [0, 0.01])
async def test_waiting_for_a_replica_ends_with_the_time(setup: Setup, timeout_s: float) -> None:
    setup.fleet.want(KEY, Wanted(make_spec(), 1))

    with pytest.raises(Unavailable, match="No replica became ready within"):
        await setup.fleet.wait_ready([KEY], timeout_s)


async def test_listeners_hear_of_changes_and_a_broken_one_harms_nobody(setup: Setup) -> None:
    heard: list[str] = []

    def break_down() -> None:
        raise RuntimeError("a listener's own fault")

    setup.fleet.on_change.extend([break_down, lambda: heard.append("change")])
    await bring_up(setup)

    assert heard
    assert setup.fleet.status(KEY).ready == 1


async def test_a_fault_in_the_loop_is_survived(setup: Setup, caplog: pytest.LogCaptureFixture) -> None:
    available = setup.available
    setup.available = None  # type: ignore[assignment]  # breaks the memory check
    setup.fleet.want(KEY, Wanted(make_spec(memory_bytes=1), 1))
    await settle()
    assert "could not reconcile" in caplog.text

    setup.available = available
    setup.fleet.wake()
    await until(lambda: setup.launcher.workers)


async def test_closing_stops_everything_and_tells_the_running_requests(setup: Setup) -> None:
    await bring_up(setup, count=2)
    stream = setup.fleet.replicas(KEY)[0].generate(make_request())
    await setup.fleet.close()

    assert [["TERM"], ["TERM"]] == [worker.signals for worker in setup.launcher.workers]
    with pytest.raises(Unavailable, match="shutting down"):
        await anext(stream)


async def test_a_request_lost_with_its_process_is_an_engine_failure(setup: Setup) -> None:
    await bring_up(setup)
    collecting = asyncio.ensure_future(setup.fleet.replicas(KEY)[0].collect(make_request()))
    await settle()
    setup.launcher.workers[0].exit("was killed by signal 11 (SIGSEGV)")

    with pytest.raises(Unavailable, match="signal 11"):
        await collecting
