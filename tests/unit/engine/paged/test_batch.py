"""Sequences through their life without a model: whatever comes, all finish, and no block is lost or used twice."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from saker.engine.memory import BLOCK_TOKENS
from saker.engine.paged.batch import Batch
from saker.engine.paged.blocks import BlockPool
from saker.engine.paged.schedule import Limits
from saker.engine.paged.sequence import Sequence


class FakeCache:
    """Remembers in place of keys and values which token, after which beginning, was computed into which block."""

    def __init__(self, blocks: int) -> None:
        self.slots: list[list[object]] = [[None] * BLOCK_TOKENS for _ in range(blocks)]

    def compute(self, sequence: Sequence, count: int, pool: BlockPool) -> None:
        """Write new tokens, and check that the earlier ones are where attention will read them."""
        for place in range(sequence.computed):
            block, offset = divmod(place, BLOCK_TOKENS)
            assert self.slots[sequence.blocks[block]][offset] == tuple(sequence.tokens[: place + 1])
        for place in range(sequence.computed, sequence.computed + count):
            block, offset = divmod(place, BLOCK_TOKENS)
            assert pool.holders(sequence.blocks[block]) == 1, "a shared block is written"
            self.slots[sequence.blocks[block]][offset] = tuple(sequence.tokens[: place + 1])


@dataclass
class Request:
    """What a sequence will do."""

    prompt: int
    """Its length; prompts of one family share their beginning."""
    family: int
    new_tokens: int
    answers: int
    priority: int
    start: int
    """The step before which it comes."""
    cancel: int | None
    """The step before which it is cancelled."""


requests = st.builds(
    Request,
    prompt=st.integers(1, 100),
    family=st.integers(0, 2),
    new_tokens=st.integers(1, 60),
    answers=st.integers(1, 3),
    priority=st.integers(0, 2),
    start=st.integers(0, 20),
    cancel=st.one_of(st.none(), st.integers(0, 60)),
)


class Simulation:
    """A batch with a cache that checks itself, in place of an engine."""

    def __init__(self, requests: list[Request], blocks: int, limits: Limits) -> None:
        self.pool = BlockPool(blocks)
        self.batch: Batch[Sequence] = Batch(self.pool, limits)
        self.cache = FakeCache(blocks)
        self.limits = limits
        self.requests = requests
        self.ends: dict[Sequence, int] = {}
        self.children: dict[Sequence, list[Sequence]] = {}
        self.families: dict[Sequence, Request] = {}
        self.finished: list[Sequence] = []
        self.now = 0

    def run(self) -> None:
        arrivals = iter(range(10_000))
        while self.now <= 60 or self.ends:
            for request in self.requests:
                if request.start == self.now:
                    self.submit(request, arrivals)
                if request.cancel == self.now:
                    self.cancel(request)
            if self.batch.running or self.batch.waiting:
                self.step()
            self.now += 1
            assert self.now < 20_000, "somebody starves"

    def submit(self, request: Request, arrivals: object) -> None:
        prompt = [request.family * 1000 + place for place in range(request.prompt)]
        made = [
            Sequence(self.pool, prompt, priority=request.priority, arrival=next(arrivals))  # type: ignore[call-overload]  # an iterator
            for _ in range(request.answers)
        ]
        for sequence in made:
            self.ends[sequence] = request.prompt + request.new_tokens
            self.families[sequence] = request
        self.children[made[0]] = made[1:]
        self.batch.add(made[0])

    def cancel(self, request: Request) -> None:
        for sequence in [sequence for sequence in self.ends if self.families[sequence] is request]:
            self.batch.remove(sequence)
            self.batch.remove(sequence)  # safe to call twice
            del self.ends[sequence]

    def step(self) -> None:
        step = self.batch.next_step()
        for source, target in step.copies:
            self.cache.slots[target] = self.cache.slots[source].copy()
        assert 0 < sum(count for _, count in step.rows) <= self.limits.tokens
        assert len(self.batch.running) <= self.limits.sequences
        if step.is_repeated:
            assert self.batch.running == [sequence for sequence, _ in step.rows]
            assert all(count == 1 == sequence.length - sequence.computed for sequence, count in step.rows)
            assert not step.copies
        for sequence, count in step.rows:
            self.cache.compute(sequence, count, self.pool)
            sequence.advance(count)
        for sequence in [sequence for sequence, _ in step.rows if sequence.computed == sequence.length]:
            forked = [child for child in self.children.pop(sequence, []) if self.batch.fork(sequence, child)]
            for place, drawing in enumerate([sequence, *forked]):
                self.take(drawing, token=5000 + 7 * place + len(drawing.tokens))

    def take(self, sequence: Sequence, token: int) -> None:
        sequence.tokens.append(token)
        if sequence.length == self.ends[sequence]:
            self.batch.remove(sequence)
            del self.ends[sequence]
            self.finished.append(sequence)


@settings(deadline=None, max_examples=150)
@given(st.lists(requests, min_size=1, max_size=8), st.integers(6, 24), st.integers(1, 6), st.integers(6, 80))
def test_everyone_finishes_and_every_block_comes_back(
    requests: list[Request], blocks: int, sequences: int, tokens: int
) -> None:
    simulation = Simulation(requests, blocks, Limits(tokens, sequences))
    simulation.run()

    uncancelled = sum(request.answers for request in requests if request.cancel is None)
    assert uncancelled <= len(simulation.finished)
    assert blocks == simulation.pool.available


def test_answers_to_one_prompt_share_its_blocks() -> None:
    simulation = Simulation([Request(80, 0, 8, 3, 0, 0, None)], 20, Limits(512, 8))
    simulation.submit(simulation.requests[0], iter(range(3)))
    simulation.step()
    simulation.step()

    assert 3 == len(simulation.batch.running)
    assert 20 - 2 - 3 == simulation.pool.available  # two full blocks for all, and a copy of the third for each


def test_a_sequence_sent_away_finds_its_blocks_again_when_they_were_not_needed() -> None:
    low, high = Request(64, 0, 8, 1, 1, 0, None), Request(1, 1, 1, 1, 0, 3, None)
    simulation = Simulation([low, high], 20, Limits(512, 1))
    for _ in range(3):
        if simulation.now == 0:
            simulation.submit(low, iter([0]))
        simulation.step()
        simulation.now += 1
    simulation.submit(high, iter([1]))
    simulation.step()
    simulation.step()

    assert 1 == simulation.batch.preemptions
    (sequence,) = simulation.batch.running
    assert 64 < sequence.computed
    assert sequence.computed == sequence.length - 1


def test_the_last_token_of_a_known_prompt_is_computed_all_the_same() -> None:
    simulation = Simulation([], 20, Limits(512, 1))
    for arrival in range(2):
        simulation.submit(Request(64, 0, 1, 1, 0, 0, None), iter([arrival]))
        step = simulation.batch.next_step()
        assert [(64, 32)[arrival]] == [count for _, count in step.rows]
        for sequence, count in step.rows:
            sequence.advance(count)
            simulation.take(sequence, 1)


def test_a_step_like_the_last_is_not_decided_anew_until_a_block_is_full_or_somebody_comes() -> None:
    batch: Batch[Sequence] = Batch(BlockPool(20), Limits(64, 4))
    sequences = [Sequence(batch._pool, [1] * length, arrival=length) for length in (5, 20)]
    for sequence in sequences:
        batch.add(sequence)
    repeated = []
    for place in range(30):
        if place == 20:
            batch.add(Sequence(batch._pool, [2] * 3, arrival=99))
        step = batch.next_step()
        repeated.append(step.is_repeated)
        for sequence, count in step.rows:
            sequence.advance(count)
            sequence.tokens.append(7)

    # The prompts, then their first tokens; the second fills its block with its 12th, and one comes before step 20.
    decided = [place for place, is_repeated in enumerate(repeated) if not is_repeated]
    assert [0, 1, 13, 20, 21, 28] == decided
