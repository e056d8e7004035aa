"""What the fleet is asked for, what it reports, and what it needs of a launcher."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

from saker.engine.base import EngineOptions
from saker.engine.messages import Command, Ready, Report, Unfit
from saker.settings import Settings


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


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a fleet. Times are in seconds."""

    start_timeout_s: float = 600.0
    start_attempts: int = 3
    """Failed starts in a row before a set gives up."""
    drain_timeout_s: float = 120.0
    stop_grace_s: float = 5.0
    """Between asking a process to end and killing it."""
    max_queue: int = 1024
    """Requests in flight at one replica."""
    memory_limit_ratio: float = 0.9
    """The part of the free memory that a new replica may plan with."""

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The limits that the settings state."""
        return cls(
            start_timeout_s=settings.start_timeout_s,
            start_attempts=settings.start_attempts,
            drain_timeout_s=settings.drain_timeout_s,
            max_queue=settings.max_queue,
            memory_limit_ratio=settings.memory_limit_ratio,
        )


class ReplicaState(StrEnum):
    """A replica's life, in order."""

    STARTING = "Starting"
    """The process loads its model."""
    READY = "Ready"
    DRAINING = "Draining"
    """It finishes what it has and gets nothing new."""
    STOPPING = "Stopping"
    """The process was asked to end and still holds its memory."""
    GONE = "Gone"
    """The process has ended."""


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """A replica as the pure functions see it."""

    id: str
    key: SetKey
    state: ReplicaState
    in_flight: int
    since: float
    """When it entered its state, in the clock's monotonic seconds."""
    is_current: bool = True
    """Whether it runs the spec that is wanted now."""


@dataclass(frozen=True, slots=True)
class SetStatus:
    """A replica set as serving sees it."""

    wanted: int = 0
    ready: int = 0
    starting: int = 0
    draining: int = 0
    failure: Unfit | None = None
    """Why the set cannot come up: the model is unfit, or too many starts in a row failed.

    Cleared by a `want` that differs, and by a replica that becomes ready; a set that was ready before goes on trying.
    """
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
        """Pass a command on; never blocks. After the worker's end it does nothing.

        Raises:
            TooLarge: The command does not fit into a frame; nothing was sent.
        """
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
        """Start a worker. Nothing is called back before this has returned.

        Args:
            log: The file that its output is appended to.
            on_report: Called on the event loop for every report, in order.
            on_exit: Called once on the event loop when the process has ended, after its last report, with the cause
                in words: "exited with status 3", "was killed by signal 11 (SIGSEGV)".

        Raises:
            Unavailable: The process could not be started.
        """
        ...
