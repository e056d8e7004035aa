"""The fleet: a loop that starts, watches, drains and stops replicas until they are as wanted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path

from saker.core.clock import Clock, SystemClock
from saker.core.errors import Unavailable
from saker.engine.messages import Unfit
from saker.fleet.base import Launcher, Limits, ReplicaState, SetKey, SetStatus, Wanted
from saker.fleet.capacity import available_bytes
from saker.fleet.changes import Changes
from saker.fleet.logs import LogFolder
from saker.fleet.plan import Action, Drain, Kill, Start, Stop, plan
from saker.fleet.replica import Replica
from saker.fleet.replica_set import ReplicaSet
from saker.fleet.starter import Starter

RETRY_S = 1.0
"""Pause after a fault of the loop's own."""
SHORTEST_SLEEP_S = 0.01

log = logging.getLogger(__name__)


class Fleet:
    """All replica sets of this machine."""

    def __init__(
        self,
        launcher: Launcher,
        logs: Path,
        limits: Limits | None = None,
        *,
        clock: Clock | None = None,
        available_memory: Callable[[], int] = available_bytes,
    ) -> None:
        """
        Args:
            logs: The folder for the replicas' output.
            available_memory: Bytes that new processes can use.
        """
        self._limits = limits or Limits()
        self._clock = clock or SystemClock()
        self._logs = LogFolder(logs)
        self._starter = Starter(
            launcher, self._logs, self._limits, self._clock, available_memory, self._on_replica_change, self._on_exit
        )
        self._sets: dict[SetKey, ReplicaSet] = {}
        self._changes = Changes()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def on_change(self) -> list[Callable[[], None]]:
        """Called on the event loop after any set has changed: what is wanted, a replica's state, a failure."""
        return self._changes.listeners

    async def start(self) -> None:
        """Begin to reconcile."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="fleet")

    async def close(self) -> None:
        """Stop every replica: ask, and after a grace kill. Returns when no process is left."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._starter.settle()
        for replica in self._all():
            replica.stop("The platform is shutting down.")
        await self._until_gone()
        for replica in self._all():
            log.warning("Replica %s of %s is killed: it did not end in time.", replica.id, replica.key)
            replica.kill()
        await self._until_gone()

    async def _until_gone(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.stop_grace_s):
                while self._all():
                    await self._changes.next()

    def want(self, key: SetKey, wanted: Wanted) -> None:
        """Set what a set should be. A change clears its failure; the same again changes nothing."""
        found = self._sets.setdefault(key, ReplicaSet(key))
        if found.wanted != wanted:
            found.want(wanted)
            self._changed(key)

    def forget(self, key: SetKey) -> None:
        """Drain the set and stop it; it is gone from `keys` when its last process is."""
        if (found := self._sets.get(key)) is not None:
            found.wanted = None
            self._changed(key)

    def keys(self) -> list[SetKey]:
        """All sets that are wanted or still have processes."""
        return list(self._sets)

    def status(self, key: SetKey) -> SetStatus:
        """How a set is; empty for one that does not exist."""
        found = self._sets.get(key)
        return found.status() if found is not None else SetStatus()

    def replicas(self, key: SetKey) -> Sequence[Replica]:
        """The replicas that are ready. Costs a dictionary look-up; a change makes a new sequence."""
        found = self._sets.get(key)
        return found.ready if found is not None else ()

    def log_files(self, endpoint: str) -> list[Path]:
        """An endpoint's log files, the one written last at the end."""
        return self._logs.files(endpoint)

    def wake(self) -> None:
        """Decide anew soon."""
        self._wake.set()

    async def wait_ready(self, keys: Collection[SetKey], timeout_s: float) -> None:
        """Return when any of the sets has a replica that takes requests.

        Args:
            timeout_s: 0 waits for nothing.

        Raises:
            Unavailable: None became ready in time, or none can come up; says why.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not any(self.replicas(key) for key in keys):
                    self._raise_if_hopeless(keys)
                    await self._changes.next()
        except TimeoutError:
            raise self._not_ready(keys, timeout_s) from None

    def _raise_if_hopeless(self, keys: Collection[SetKey]) -> None:
        failures = [failure for key in keys if (failure := self.status(key).failure) is not None]
        if failures and len(failures) == len(keys):
            raise Unavailable(failures[0].what, why=failures[0].why, fix=failures[0].fix)

    def _not_ready(self, keys: Collection[SetKey], timeout_s: float) -> Unavailable:
        starting = sum(self.status(key).starting for key in keys)
        return Unavailable(
            f"No replica became ready within {timeout_s:g} s.",
            why=f"{starting} of them still load the model." if starting else "None is starting at the moment.",
            fix="Try again in a moment.",
        )

    def _all(self) -> list[Replica]:
        return [replica for found in self._sets.values() for replica in found.replicas.values()]

    def _changed(self, key: SetKey) -> None:
        if (found := self._sets.get(key)) is not None:
            found.refresh()
            if found.wanted is None and not found.replicas:
                del self._sets[key]
        self._wake.set()
        self._changes.announce()

    def _on_replica_change(self, replica: Replica) -> None:
        found = self._sets.get(replica.key)
        if found is not None and replica.state is ReplicaState.READY:
            log.info("Replica %s of %s is ready.", replica.id, replica.key)
            found.became_ready(replica)
        self._changed(replica.key)

    def _on_exit(self, replica: Replica, cause: str) -> None:
        if (found := self._sets.get(replica.key)) is not None:
            found.ended(replica, cause, now=self._clock.monotonic(), limits=self._limits)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                wake_at = self._reconcile()
            except Exception:
                log.exception("The fleet could not reconcile; trying again in %g s.", RETRY_S)
                wake_at = self._clock.monotonic() + RETRY_S
            await self._sleep_until(wake_at)

    async def _sleep_until(self, wake_at: float | None) -> None:
        delay = None if wake_at is None else max(SHORTEST_SLEEP_S, wake_at - self._clock.monotonic())
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._wake.wait()

    def _reconcile(self) -> float | None:
        """Decide and act once; when to decide again."""
        decided = plan(
            {key: found.wanted.count for key, found in self._sets.items() if found.wanted is not None},
            [view for found in self._sets.values() for view in found.views()],
            {key: found.history for key, found in self._sets.items()},
            self._limits,
            self._clock.monotonic(),
        )
        replicas = {replica.id: replica for replica in self._all()}
        for action in decided.actions:
            self._apply(action, replicas)
        return decided.wake_at

    def _apply(self, action: Action, replicas: dict[str, Replica]) -> None:
        match action:
            case Start(key=key):
                self._start(self._sets[key])
            case Drain(id=id):
                log.info("Replica %s of %s drains.", id, replicas[id].key)
                replicas[id].drain()
            case Stop(id=id):
                replicas[id].stop(f"It had {self._limits.drain_timeout_s:g} s to finish (setting drain_timeout_s).")
            case Kill(id=id):
                self._kill(replicas[id])

    def _start(self, found: ReplicaSet) -> None:
        """Start a replica if the memory allows; wait while others load or leave, and give up otherwise."""
        assert found.wanted is not None
        others = self._all()
        shortage = self._starter.find_shortage(found.wanted.spec.memory_bytes, others)
        if shortage is None:
            self._starter.start(found, found.wanted)
        elif all(other.state is ReplicaState.READY for other in others):
            now = self._clock.monotonic()
            found.start_failed(shortage, is_final=True, began_at=now, now=now, limits=self._limits)
        else:
            return
        self._changed(found.key)

    def _kill(self, replica: Replica) -> None:
        log.warning("Replica %s of %s is killed: it did not %s in time.", replica.id, replica.key, _duty(replica))
        found = self._sets[replica.key]
        if replica.state is ReplicaState.STARTING and found.is_current(replica):
            limit = self._limits.start_timeout_s
            what = f"The worker did not load the model within {limit:g} s."
            cause = Unfit(what, fix="Raise the setting start_timeout_s, or deploy a smaller model.")
            now = self._clock.monotonic()
            found.start_failed(cause, is_final=False, began_at=replica.since, now=now, limits=self._limits)
        replica.kill("Its process did not end in time.")


def _duty(replica: Replica) -> str:
    return "load its model" if replica.state is ReplicaState.STARTING else "end"
