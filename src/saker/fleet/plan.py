"""Decides what to start and what to stop.

Pure: the wanted state, the replicas as they are, their history and the time give a list of actions, so that every rule
is tested without processes. Applying the actions and deciding again ends with nothing to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from saker.fleet.backoff import History
from saker.fleet.base import Limits, ReplicaState, ReplicaView, SetKey

SURGE = 1
"""How many replicas above the wanted count run while a spec is replaced."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start one replica of the wanted spec."""

    key: SetKey


@dataclass(frozen=True, slots=True)
class Drain:
    """Let a replica finish what it has."""

    id: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Ask a replica's process to end."""

    id: str


@dataclass(frozen=True, slots=True)
class Kill:
    """End a process that did not end when asked, or did not become ready in time."""

    id: str


Action = Start | Drain | Stop | Kill


@dataclass(slots=True)
class Plan:
    """What to do now, and when to decide again if nothing happens before."""

    actions: list[Action] = field(default_factory=list)
    wake_at: float | None = None
    """In the clock's monotonic seconds; None is not before something happens."""

    def wake_by(self, time: float) -> None:
        """Decide again at `time` at the latest."""
        self.wake_at = time if self.wake_at is None else min(self.wake_at, time)


def plan(
    wanted: Mapping[SetKey, int],
    replicas: Sequence[ReplicaView],
    histories: Mapping[SetKey, History],
    limits: Limits,
    now: float,
) -> Plan:
    """What brings the replicas to the wanted counts.

    Args:
        wanted: Replicas per set; a set that is not named is wanted no more.
        replicas: All whose process has not ended.
    """
    decided = Plan()
    by_set: dict[SetKey, list[ReplicaView]] = {key: [] for key in wanted}
    for replica in replicas:
        by_set.setdefault(replica.key, []).append(replica)
    for key, members in by_set.items():
        _enforce_deadlines(members, limits, now, decided)
        _remove(members, wanted.get(key, 0), decided)
        _add(key, members, wanted.get(key, 0), histories.get(key, History()), now, decided)
    return decided


def _enforce_deadlines(members: list[ReplicaView], limits: Limits, now: float, decided: Plan) -> None:
    """End what took too long, and what has drained."""
    times = {
        ReplicaState.STARTING: limits.start_timeout_s,
        ReplicaState.DRAINING: limits.drain_timeout_s,
        ReplicaState.STOPPING: limits.stop_grace_s,
    }
    for replica in members:
        if replica.state not in times:
            continue
        deadline = replica.since + times[replica.state]
        has_drained = replica.state is ReplicaState.DRAINING and not replica.in_flight
        if now < deadline and not has_drained:
            decided.wake_by(deadline)
        elif replica.state is ReplicaState.DRAINING:
            decided.actions.append(Stop(replica.id))
        else:
            decided.actions.append(Kill(replica.id))


def _remove(members: list[ReplicaView], count: int, decided: Plan) -> None:
    """Stop surplus replicas that load; drain surplus ready ones: outdated first, then idle ones, then the newest."""
    handled = {action.id for action in decided.actions if isinstance(action, Kill)}
    starting = [r for r in members if r.state is ReplicaState.STARTING and r.id not in handled]
    ready = sorted(
        (r for r in members if r.state is ReplicaState.READY), key=lambda r: (r.is_current, r.in_flight, -r.since)
    )
    current_ready = sum(r.is_current for r in ready)
    needed = max(0, count - current_ready)
    current_starting = sorted((r for r in starting if r.is_current), key=lambda r: r.since)
    surplus = [r for r in starting if not r.is_current] + current_starting[needed:]
    decided.actions += [Stop(r.id) for r in surplus]
    decided.actions += [Drain(r.id) for r in ready[: max(0, len(ready) - count)]]


def _add(key: SetKey, members: list[ReplicaView], count: int, history: History, now: float, decided: Plan) -> None:
    """Start what is missing; while outdated or leaving replicas run, only as many as the surge allows."""
    present = sum(r.is_current and r.state in (ReplicaState.STARTING, ReplicaState.READY) for r in members)
    missing = min(count - present, count + SURGE - len(members))
    if missing <= 0 or history.has_given_up:
        return
    if now < history.retry_at:
        decided.wake_by(history.retry_at)
        return
    decided.actions += [Start(key)] * missing
