"""Starts one replica: checks the memory, names it, opens its log and launches its process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from saker.core.clock import Clock
from saker.core.errors import SakerError
from saker.core.ids import short_id
from saker.engine.messages import Unfit
from saker.fleet.base import Launcher, Limits, ReplicaState, Wanted
from saker.fleet.capacity import memory_shortage
from saker.fleet.logs import LogFolder
from saker.fleet.replica import Replica
from saker.fleet.replica_set import ReplicaSet

log = logging.getLogger(__name__)


class Starter:
    """Brings replicas into being."""

    def __init__(
        self,
        launcher: Launcher,
        logs: LogFolder,
        limits: Limits,
        clock: Clock,
        available_memory: Callable[[], int],
        on_change: Callable[[Replica], None],
        on_exit: Callable[[Replica, str], None],
    ) -> None:
        self._launcher = launcher
        self._logs = logs
        self._limits = limits
        self._clock = clock
        self._available_memory = available_memory
        self._on_change = on_change
        self._on_exit = on_exit
        self._launches: set[asyncio.Task[None]] = set()

    def find_shortage(self, need: int, others: Sequence[Replica]) -> Unfit | None:
        """Why a replica that needs `need` bytes does not fit now; None when it does."""
        if not need:
            return None
        # What still loads has not taken all its memory yet.
        promised = sum(other.spec.memory_bytes for other in others if other.state is ReplicaState.STARTING)
        return memory_shortage(need, self._available_memory() - promised, self._limits.memory_limit_ratio)

    def start(self, found: ReplicaSet, wanted: Wanted) -> None:
        """Add a replica to its set and launch its process in the background."""
        replica = Replica(
            short_id(),
            found.key,
            wanted.spec,
            max_queue=self._limits.max_queue,
            clock=self._clock,
            on_change=self._on_change,
            on_exit=self._on_exit,
        )
        self._logs.prune(found.key, found.replicas)
        found.replicas[replica.id] = replica
        log.info("Replica %s of %s starts.", replica.id, found.key)
        task = asyncio.get_running_loop().create_task(self._launch(replica))
        self._launches.add(task)
        task.add_done_callback(self._launches.discard)

    async def settle(self) -> None:
        """Return when no launch is under way."""
        await asyncio.gather(*self._launches)

    async def _launch(self, replica: Replica) -> None:
        path = self._logs.path(replica.key, replica.id)
        try:
            worker = await self._launcher.launch(replica.spec, path, replica.on_report, replica.on_exit)
        except SakerError as error:
            replica.on_exit(f"could not be started ({error.why.rstrip('.')})")
        except Exception as error:
            log.exception("A worker could not be launched.")
            replica.on_exit(f"could not be started ({type(error).__name__})")
        else:
            replica.attach(worker)
