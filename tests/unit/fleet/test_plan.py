"""The plan leads from any state to the wanted one, and never past it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saker.engine.messages import Unfit
from saker.fleet.backoff import History
from saker.fleet.base import Limits, ReplicaState, ReplicaView
from saker.fleet.plan import SURGE, Action, Drain, Kill, Plan, Start, Stop, plan
from support.fleets import KEY

LIMITS = Limits(start_timeout_s=100, drain_timeout_s=50, stop_grace_s=5)
STARTING, READY, DRAINING, STOPPING = (
    ReplicaState.STARTING,
    ReplicaState.READY,
    ReplicaState.DRAINING,
    ReplicaState.STOPPING,
)


def view(id: str, state: ReplicaState, in_flight: int = 0, since: float = 0, *, is_current: bool = True) -> ReplicaView:
    return ReplicaView(id, KEY, state, in_flight, since, is_current)


def decide(count: int | None, replicas: list[ReplicaView], history: History | None = None, now: float = 1.0) -> Plan:
    wanted = {} if count is None else {KEY: count}
    return plan(wanted, replicas, {KEY: history or History()}, LIMITS, now)


def test_missing_replicas_are_started() -> None:
    assert [Start(KEY), Start(KEY)] == decide(3, [view("a", READY)]).actions


def test_nothing_is_done_when_all_is_as_wanted() -> None:
    assert Plan() == decide(2, [view("a", READY), view("b", READY, in_flight=3)])


def test_no_start_before_the_wait_is_over() -> None:
    decided = decide(1, [], History(retry_at=8.0))

    assert Plan([], wake_at=8.0) == decided
    assert [Start(KEY)] == decide(1, [], History(retry_at=8.0), now=8.0).actions


def test_a_set_that_has_given_up_starts_nothing_and_keeps_what_runs() -> None:
    history = History(failure=Unfit("x"))

    assert Plan() == decide(2, [view("old", READY, is_current=False)], history)


def test_scaling_down_drains_idle_replicas_first_and_newest_first() -> None:
    replicas = [view("busy", READY, 1, since=9), view("old", READY, since=1), view("new", READY, since=5)]

    assert [Drain("new")] == decide(2, replicas).actions
    assert [Drain("new"), Drain("old")] == decide(1, replicas).actions


def test_scaling_down_stops_what_still_loads_before_what_is_ready() -> None:
    assert [Stop("b")] == decide(1, [view("a", READY), view("b", STARTING)]).actions


def test_a_busy_replica_that_drains_is_left_alone_until_the_timeout() -> None:
    replicas = [view("a", DRAINING, in_flight=1, since=10)]

    assert Plan([], wake_at=60) == decide(None, replicas, now=59)
    assert [Stop("a")] == decide(None, replicas, now=60).actions


def test_a_drained_replica_is_stopped_at_once() -> None:
    assert [Stop("a")] == decide(None, [view("a", DRAINING, since=1)]).actions


def test_a_process_that_does_not_end_when_asked_is_killed() -> None:
    replicas = [view("a", STOPPING, in_flight=1, since=10)]

    assert Plan([], wake_at=15) == decide(None, replicas, now=14)
    assert [Kill("a")] == decide(None, replicas, now=15).actions


def test_a_start_that_takes_too_long_is_killed() -> None:
    replicas = [view("a", STARTING, since=10)]

    assert Plan([], wake_at=110) == decide(1, replicas, now=109)
    assert [Kill("a")] == decide(1, replicas, now=110).actions


def test_a_changed_spec_starts_one_above_the_count() -> None:
    old = [view("a", READY, is_current=False), view("b", READY, is_current=False)]

    assert [Start(KEY)] == decide(2, old).actions


def test_an_outdated_replica_drains_when_a_current_one_is_ready() -> None:
    replicas = [view("a", READY, 2, is_current=False), view("b", READY, 1, is_current=False), view("c", READY)]

    assert [Drain("b")] == decide(2, replicas).actions


def test_the_next_start_of_a_replacement_waits_until_the_outdated_one_is_gone() -> None:
    replicas = [view("a", DRAINING, 1, is_current=False), view("b", READY, is_current=False), view("c", READY)]

    assert [] == decide(2, replicas).actions


def test_an_outdated_replica_that_still_loads_is_stopped() -> None:
    assert [Stop("a"), Start(KEY)] == decide(1, [view("a", STARTING, is_current=False)]).actions


def test_an_unwanted_set_is_drained_and_its_starting_replicas_stopped() -> None:
    assert [Stop("b"), Drain("a")] == decide(None, [view("a", READY, 1), view("b", STARTING)]).actions


@dataclass
class World:
    """Carries plans out; starts succeed and processes end when asked."""

    replicas: dict[str, ReplicaView]
    now: float = 0.0
    started: int = 0
    problems: list[str] = field(default_factory=list)

    def apply(self, action: Action) -> None:
        match action:
            case Start():
                self.started += 1
                self._set(f"new{self.started}", view("", STARTING))
            case Drain(id=id):
                self._expect(id, READY)
                self._set(id, replace(self.replicas[id], state=DRAINING))
            case Stop(id=id):
                self._expect(id, STARTING, DRAINING)
                self._set(id, replace(self.replicas[id], state=STOPPING))
            case Kill(id=id):
                self._expect(id, STARTING, STOPPING)
                self._set(id, replace(self.replicas[id], state=STOPPING))

    def _set(self, id: str, replica: ReplicaView) -> None:
        self.replicas[id] = replace(replica, id=id, since=self.now)

    def _expect(self, id: str, *states: ReplicaState) -> None:
        if self.replicas[id].state not in states:
            self.problems.append(f"{self.replicas[id]} was touched in the wrong state")

    def pass_time(self, finish_requests: bool) -> None:
        self.now += 1
        for id, replica in list(self.replicas.items()):
            if replica.state is STARTING:
                self._set(id, replace(replica, state=READY))
            elif replica.state is STOPPING:
                del self.replicas[id]
            elif finish_requests:
                self.replicas[id] = replace(replica, in_flight=0)

    def count(self, *states: ReplicaState) -> int:
        return sum(replica.state in states for replica in self.replicas.values())


views = st.builds(
    view,
    st.just(""),
    st.sampled_from([STARTING, READY, DRAINING, STOPPING]),
    st.integers(0, 3),
    st.floats(-100, 0),
    is_current=st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(views, max_size=8), st.integers(0, 5), st.booleans())
def test_any_state_converges_to_the_wanted_count_without_overshooting(
    replicas: list[ReplicaView], count: int, finish_requests: bool
) -> None:
    """Also: a ready replica is never stopped without draining, and no more start than the count and the surge allow."""
    world = World({f"r{i}": replace(replica, id=f"r{i}") for i, replica in enumerate(replicas)})
    most = max(len(replicas), count + SURGE)
    limits = replace(LIMITS, drain_timeout_s=10)
    for _ in range(200):
        decided = plan({KEY: count}, list(world.replicas.values()), {}, limits, world.now)
        for action in decided.actions:
            world.apply(action)
        current = [r for r in world.replicas.values() if r.is_current]
        assert sum(r.state is STARTING for r in current) <= count
        assert len(world.replicas) <= most
        world.pass_time(finish_requests)

    assert [] == world.problems
    assert count == world.count(READY)
    assert count == len(world.replicas)
    assert Plan() == plan({KEY: count}, list(world.replicas.values()), {}, LIMITS, world.now)
    assert all(replica.is_current for replica in world.replicas.values())


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 5), st.integers(0, 4))
def test_a_rolling_change_never_has_fewer_ready_replicas_than_wanted(count: int, in_flight: int) -> None:
    world = World({f"r{i}": view(f"r{i}", READY, in_flight, is_current=False) for i in range(count)})
    for _ in range(300):
        for action in plan({KEY: count}, list(world.replicas.values()), {}, LIMITS, world.now).actions:
            world.apply(action)
        assert count <= world.count(READY)
        assert world.count(STARTING, READY, DRAINING, STOPPING) <= count + SURGE
        world.pass_time(finish_requests=False)

    assert all(replica.is_current for replica in world.replicas.values())


@pytest.mark.parametrize("count", [0, 3])
def test_the_plan_depends_on_nothing_but_its_arguments(count: int) -> None:
    replicas = [view("a", READY), view("b", STARTING)]

    assert decide(count, replicas) == decide(count, replicas)
