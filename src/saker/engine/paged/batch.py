"""The sequences that run and those that wait; carries out what the scheduler decides. Knows no model."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from saker.engine.memory import BLOCK_TOKENS
from saker.engine.paged.blocks import BlockPool
from saker.engine.paged.schedule import Limits, schedule
from saker.engine.paged.sequence import Sequence

S = TypeVar("S", bound=Sequence)


@dataclass
class Step(Generic[S]):
    """What the model has to do now."""

    rows: list[tuple[S, int]]
    """Who computes how many tokens."""
    copies: list[tuple[int, int]] = field(default_factory=list)
    """Blocks to copy, from and to, before that."""
    is_repeated: bool = False
    """Whether it is the step before it again, for the token after each."""


class Batch(Generic[S]):
    """Everything that is under way, in order: by priority, then by arrival."""

    def __init__(self, pool: BlockPool, limits: Limits) -> None:
        self.running: list[S] = []
        self.waiting: list[S] = []
        self.preemptions = 0
        """How often a sequence was sent away to compute its blocks again."""
        self._pool = pool
        self._limits = limits
        self._last: Step[S] | None = None
        self._repeats = 0
        """How often the last step can be repeated before one of its rows needs a new block."""

    def add(self, sequence: S) -> None:
        """Let a sequence wait for its turn."""
        insort(self.waiting, sequence, key=_rank)

    def remove(self, sequence: S) -> None:
        """Take a sequence out, wherever it is, and free its blocks. Nothing happens if it is not here."""
        self._repeats = 0
        for line in (self.running, self.waiting):
            if sequence in line:
                line.remove(sequence)
        sequence.leave()

    def fork(self, parent: S, child: S) -> bool:
        """Let a child run on its running parent's blocks; False where all places are taken and it waits instead."""
        if len(self.running) >= self._limits.sequences:
            self.add(child)
            return False
        self._repeats = 0
        parent.fork(child)
        insort(self.running, child, key=_rank)
        return True

    def next_step(self) -> Step[S]:
        """The next step, with all blocks in place. There is one as long as anything runs or waits.

        Raises:
            MemoryError: A sequence is longer than the whole pool.
        """
        # Most steps are like the one before them, and deciding that anew takes longer than all else in Python.
        if self._repeats and self._last is not None and not self.waiting:
            self._repeats -= 1
            self._last.is_repeated = True
            return self._last
        step = self._last = self._decide()
        self._repeats = 0
        is_plain = all(tokens == 1 == sequence.length - sequence.computed for sequence, tokens in step.rows)
        if is_plain and not step.copies and len(step.rows) == len(self.running):
            self._repeats = min(-(sequence.computed + 1) % BLOCK_TOKENS for sequence, _ in step.rows)
        return step

    def _decide(self) -> Step[S]:
        while True:
            plan = schedule(self.running, self.waiting, self._pool.available, self._limits, Sequence.cached)
            for sequence in plan.preempted:
                self._preempt(sequence)
            if plan.rows:
                break
            if not plan.preempted:
                raise MemoryError(f"A sequence does not fit {self._pool.count} blocks.")
        for sequence in plan.admitted:
            sequence.enter()  # all before any takes a block, which could be one that another was counted to find
        step = Step(plan.rows)
        for sequence in plan.admitted:
            self.waiting.remove(sequence)
            insort(self.running, sequence, key=_rank)
        admitted = set(map(id, plan.admitted))
        for sequence, tokens in plan.rows:
            copy = sequence.grow(sequence.length if id(sequence) in admitted else sequence.computed + tokens)
            if copy is not None:
                step.copies.append(copy)
        return step

    def extend(self, sequence: S, tokens: int) -> bool:
        """Let a sequence of the next step compute so many tokens in all; False where the blocks do not suffice."""
        if sequence.missing_blocks(tokens) > self._pool.available:
            return False
        self._repeats = 0
        sequence.grow(sequence.computed + tokens)
        return True

    def _preempt(self, sequence: S) -> None:
        self.preemptions += 1
        self.running.remove(sequence)
        sequence.leave()
        self.add(sequence)


def _rank(sequence: Sequence) -> tuple[int, int]:
    return sequence.priority, sequence.arrival
