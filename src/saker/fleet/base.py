"""What the fleet is asked for, what it reports, and what it needs of a launcher."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

from saker.engine.base import EngineOptions
from saker.engine.messages import Command, Ready, Report, Unfit


class SetKey(NamedTuple):
    """Names one replica set: a variant of one deployment of one endpoint."""

    endpoint: str
    deployment: str
    """The deployment's id; a rolling update runs two of them side by side."""
    variant: str

    def __str__(self) -> str:
        return f"{self.endpoint}/{self.variant}@{self.deployment}"


@dataclass(frozen=True, slots=True)
class ReplicaSpec:
    """How to run one replica."""

    engine: str
    options: EngineOptions
    python: Path
    """The interpreter of the engine's environment."""
    python_path: Path | None = None
    """A folder for PYTHONPATH that holds only the `saker` package; None where the interpreter has it installed."""
    environment: Mapping[str, str] = field(default_factory=dict)
    memory_bytes: int = 0
    """Estimated need; 0 is unknown. Checked against the machine before a start."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a replica set should be."""

    spec: ReplicaSpec
    count: int


class ReplicaState(StrEnum):
    """A replica's life, in order. FAILED and STOPPED replicas are gone."""

    STARTING = "Starting"
    READY = "Ready"
    DRAINING = "Draining"
    STOPPED = "Stopped"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """A replica as the pure functions see it."""

    id: str
    key: SetKey
    state: ReplicaState
    in_flight: int
    since: float
    """When it entered its state, in the clock's monotonic seconds."""


@dataclass(frozen=True, slots=True)
class SetStatus:
    """A replica set as serving sees it."""

    wanted: int = 0
    ready: int = 0
    starting: int = 0
    draining: int = 0
    failure: Unfit | None = None
    """Why the set cannot come up: the model is unfit, or too many starts in a row failed. Cleared by a new `want`."""
    description: Ready | None = None
    """What the last replica that became ready said of itself."""
    restarts: int = 0
    """Replicas that died and were replaced, since the set exists."""


class Worker(Protocol):
    """One running worker process."""

    @property
    def pid(self) -> int:
        """The process id; 0 where there is no process of its own."""
        ...

    def send(self, command: Command) -> None:
        """Pass a command on; never blocks. After the worker's end it does nothing."""
        ...

    def terminate(self) -> None:
        """Ask the process to end (SIGTERM). Safe to call twice."""
        ...

    def kill(self) -> None:
        """End the process at once (SIGKILL). Safe to call twice."""
        ...


class Launcher(Protocol):
    """Starts worker processes."""

    async def launch(
        self,
        spec: ReplicaSpec,
        log: Path,
        on_report: Callable[[Report], None],
        on_exit: Callable[[str], None],
    ) -> Worker:
        """Start a worker.

        Args:
            log: The file that its output is appended to.
            on_report: Called on the event loop for every report, in order.
            on_exit: Called once on the event loop when the process has ended, after its last report, with the cause in words
                ("was killed by signal 9 (SIGKILL; the system may have run out of memory)", "exited with status 3").

        Raises:
            Unavailable: The process could not be started.
        """
        ...
