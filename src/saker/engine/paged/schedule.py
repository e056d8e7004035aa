"""Decides who computes how many tokens in the next step. Pure: it reads the sequences and changes nothing.

Those that generate come first and those that still read their prompts after them, so that a long prompt slows the
others by one chunk at most. What is left of the step's tokens goes to waiting sequences, strictly in their order:
nobody overtakes, hence nobody starves. Where blocks run out, the last in order gives back its own and waits to compute
them again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from saker.engine.memory import BLOCK_TOKENS
from saker.engine.paged.blocks import blocks_for


class Job(Protocol):
    """What the scheduler sees of a sequence."""

    @property
    def priority(self) -> int:
        """Lower goes first, and only for a lower one a running sequence is sent away."""
        ...

    @property
    def length(self) -> int:
        """Tokens to compute in all: the prompt and what was generated."""
        ...

    @property
    def computed(self) -> int:
        """Tokens whose keys and values are there; below `length`."""
        ...

    def missing_blocks(self, tokens: int) -> int:
        """At most how many blocks it must take before it computes so many more tokens."""
        ...

    def own_blocks(self) -> int:
        """At least how many blocks become available when it is sent away."""
        ...


J = TypeVar("J", bound=Job)


@dataclass(frozen=True)
class Limits:
    """What one step may hold."""

    tokens: int
    """Over all sequences; at least `sequences`, or some that generate would never advance."""
    sequences: int


@dataclass(frozen=True)
class Cached:
    """What the prefix cache has of a waiting sequence's beginning."""

    blocks: int = 0
    idle: int = 0
    """Those of them that nobody holds: they are available now, and not any more once they are held."""


@dataclass
class Plan(Generic[J]):
    """The next step. Without rows it makes room for the one after it."""

    rows: list[tuple[J, int]] = field(default_factory=list)
    """Who computes how many tokens, at least 1."""
    admitted: list[J] = field(default_factory=list)
    """Those of the rows that waited until now. Each takes blocks for its whole length, so that it can finish reading
    its prompt."""
    preempted: list[J] = field(default_factory=list)
    """Running sequences that give back their blocks and wait."""


def schedule(
    running: Sequence[J],
    waiting: Sequence[J],
    available: int,
    limits: Limits,
    look_up: Callable[[J], Cached],
) -> Plan[J]:
    """The next step.

    Args:
        running: In order, the most important first.
        waiting: In order, too.
        available: Blocks that can be taken.
        look_up: What the prefix cache has of a waiting sequence.
    """
    step = _Step(list(running), available, limits)
    reading = []
    for job in running:
        left = job.length - job.computed
        if left == 1:
            step.advance(job, 1)
        else:
            reading.append((job, left))
    for job, left in reading:
        step.advance(job, left)
    for job in waiting:
        if not step.admit(job, look_up(job)):
            break
    return Plan(list(step.rows.values()), step.admitted, step.preempted)


class _Step(Generic[J]):
    """A step in the making."""

    def __init__(self, running: list[J], available: int, limits: Limits) -> None:
        self.rows: dict[int, tuple[J, int]] = {}
        self.admitted: list[J] = []
        self.preempted: list[J] = []
        self._running = running
        self._available = available
        self._sequences = limits.sequences
        self._tokens = limits.tokens

    def advance(self, job: J, left: int) -> None:
        """Let a running job compute of what is left what fits, at the cost of those after it."""
        tokens = min(left, self._tokens)
        if not tokens or (self.preempted and any(job is gone for gone in self.preempted)):
            return
        missing = job.missing_blocks(tokens)
        while missing > self._available:
            if self._running[-1] is job:
                return  # it stays where it is, until one before it ends
            self._preempt()
        self._available -= missing
        self._tokens -= tokens
        self.rows[id(job)] = (job, tokens)

    def admit(self, job: J, cached: Cached) -> bool:
        """Let a waiting job run; False where it must wait, and with it all that come after it."""
        if self.preempted:
            return False  # there was no room even for those that ran
        tokens = min(job.length - cached.blocks * BLOCK_TOKENS, self._tokens)
        if not tokens:
            return False
        missing = blocks_for(job.length) - cached.blocks + cached.idle
        # One block to spare for each that runs: it will want one soon, and would send the newcomer away again.
        if len(self._running) >= self._sequences or missing + len(self._running) > self._available:
            self._preempt_below(job.priority, missing)
            return False
        self._available -= missing
        self._tokens -= tokens
        self.rows[id(job)] = (job, tokens)
        self.admitted.append(job)
        self._running.append(job)
        return True

    def _preempt_below(self, priority: int, missing: int) -> None:
        """Make room for a more important job, if that is enough; it comes in with the next step."""
        staying = [job for job in self._running if job.priority <= priority]
        given = sum(job.own_blocks() for job in self._running if job.priority > priority)
        if len(staying) >= self._sequences or missing + len(staying) > self._available + given:
            return
        while self._running and self._running[-1].priority > priority:
            self._preempt()
            if len(self._running) < self._sequences and missing + len(self._running) <= self._available:
                return

    def _preempt(self) -> None:
        """Send the last running job away."""
        job = self._running.pop()
        self.preempted.append(job)
        self._available += job.own_blocks()
        row = self.rows.pop(id(job), None)
        if row is not None:
            self._tokens += row[1]
            self._available += job.missing_blocks(row[1])
