"""Both engines with one model, in one process: they get the same prompts and take turns."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench import bare
from bench.models import llama_named
from bench.paged.plan import Budget
from bench.processes import Failed
from saker.engine.base import Engine, EngineOptions
from saker.engine.genai import GenAIEngine
from saker.engine.messages import Chunk, GenerateRequest, Sampling
from saker.engine.paged.engine import STEP_TOKENS, PagedEngine

NEW_TOKENS = 128
PROMPT_TOKENS = 128
KV_CACHE_BYTES = 2 * 2**30
"""For each engine; enough that neither ever sends a sequence away."""

Tokens = tuple[int, ...]


@dataclass
class Pair:
    """Our engine, OpenVINO GenAI's behind the same interface, and the same pipeline with nothing around it."""

    name: str
    own: Engine
    genai: Engine
    bare: Any
    """The pipeline, configured to read as many tokens in a step as our engine does."""
    vocabulary: int
    seeds: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def prompts(self, seed: int | str, count: int, length: int = PROMPT_TOKENS) -> list[Tokens]:
        """Token ids that share no beginning, so that no prefix cache helps; the same for the same seed."""
        draw = random.Random(seed)
        return [tuple(draw.randrange(1, self.vocabulary) for _ in range(length)) for _ in range(count)]

    def interleave(self, sides: Mapping[str, Callable[[int], float]], budget: Budget) -> dict[str, list[float]]:
        """What each side gives, round for round; whoever goes first in a round goes last in the next one.

        Args:
            sides: Called with the round's seed, the same for all, and never the same again.
        """
        found: dict[str, list[float]] = {name: [] for name in sides}
        begin = time.perf_counter()
        for round in range(budget.most):
            seed = next(self.seeds)
            turn = seed % len(sides)
            for name in (*sides, *sides)[turn : turn + len(sides)]:
                found[name].append(sides[name](seed))
            if round + 1 >= budget.least and time.perf_counter() - begin > budget.seconds:
                break
        return found


@contextmanager
def load(name: str) -> Iterator[Pair]:
    """Both engines, loaded and warm."""
    path, shape = llama_named(name)
    options = EngineOptions(model_path=str(path), kv_cache_bytes=KV_CACHE_BYTES)
    own, genai = PagedEngine(options), GenAIEngine(options)
    pipeline = bare.load(path, options.max_sequences, kv_cache_bytes=KV_CACHE_BYTES, step_tokens=STEP_TOKENS)
    pair = Pair(name, own, genai, pipeline, shape.vocabulary)
    try:
        for engine in (own, genai):
            run(engine, requests(pair.prompts(0, 16), 8), 16)
        bare.answer(pipeline, bare.Batch(list(map(list, pair.prompts(0, 16))), 16, 8))
        yield pair
    finally:
        own.close()
        genai.close()


def requests(prompts: Sequence[Tokens], new_tokens: int, sampling: Sampling | None = None) -> list[GenerateRequest]:
    """A request for each prompt, whose answer has exactly that length."""
    return [
        GenerateRequest(tokens=ids, max_new_tokens=new_tokens, sampling=sampling or Sampling(), ignore_eos=True)
        for ids in prompts
    ]


def run(engine: Engine, requests: Sequence[GenerateRequest], clients: int) -> float:
    """Seconds for all requests, so many at a time.

    Raises:
        Failed: A request failed, or its answer has another length than was asked for.
    """
    begin = time.perf_counter()
    left = iter(enumerate(requests))
    running = 0
    while True:
        while running < clients and (following := next(left, None)) is not None:
            engine.submit(*following)
            running += 1
        if not running:
            return time.perf_counter() - begin
        for item in engine.step():
            if not isinstance(item, Chunk):
                raise Failed(f"a request failed: {item.what}")
            if item.finish is not None:
                if item.finish.generated_tokens != requests[item.id].max_new_tokens:
                    raise Failed(f"an answer has {item.finish.generated_tokens} tokens")
                running -= 1
