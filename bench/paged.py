"""Saker's own engine beside OpenVINO GenAI's continuous batching: `paged` and `genai` behind the same interface.

Both engines live in this process, get the same prompts with the same settings, and take turns; each waits while the
other works. Neither runs ahead into the prefix cache, because every prompt is new.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from bench.models import BenchModel, embedded, llama_135m
from bench.processes import Failed
from bench.report import Figure, Part
from saker.engine.base import Engine, EngineOptions
from saker.engine.genai import GenAIEngine
from saker.engine.messages import Chunk, GenerateRequest, Sampling
from saker.engine.paged.engine import PagedEngine

CLIENTS = (1, 8, 32)
SAMPLING: Mapping[str, Sampling] = {
    "greedy": Sampling(),
    "temperature": Sampling(temperature=0.8, seed=1),
    "top_p": Sampling(temperature=0.8, top_p=0.9, seed=1),
    "top_k and top_p": Sampling(temperature=0.8, top_k=50, top_p=0.9, seed=1),
    "repetition penalty": Sampling(repetition_penalty=1.2),
    "typical_p": Sampling(temperature=0.8, typical_p=0.9, seed=1),
}
ONLY_PAGED = ("typical_p",)
TARGETS: Mapping[tuple[str, int], float] = {("top_p", 32): 2.0}
"""Of the ratio to genai; 1 where nothing is said."""


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    rounds: int
    requests: Mapping[int, int]
    """Requests of a round, by number of clients."""
    firsts: int


QUICK = Plan(2, {1: 1, 8: 8, 32: 32}, 3)
FULL = Plan(4, {1: 2, 8: 16, 32: 64}, 5)


def measure(*, is_quick: bool) -> Part:
    """Measure with each model that can be had."""
    part = Part("paged")
    for make in (embedded, llama_135m):
        try:
            model = make()
        except Failed as error:
            part.notes.append(f"{make.__name__} was left out: {error}")
            continue
        with _engines(model) as pair:
            part.figures += _measure(pair, QUICK if is_quick else FULL)
    return part


@dataclass
class _Pair:
    """Both engines, loaded and idle."""

    model: BenchModel
    paged: Engine
    genai: Engine
    seed: int = 0

    def prompts(self, count: int) -> list[str]:
        """Texts that neither engine has seen."""
        self.seed += 1
        return self.model.prompts(count, self.seed)


@contextmanager
def _engines(model: BenchModel) -> Iterator[_Pair]:
    options = EngineOptions(model_path=str(model.path))
    pair = _Pair(model, PagedEngine(options), GenAIEngine(options))
    try:
        for engine in (pair.paged, pair.genai):
            _run(engine, [GenerateRequest(prompt=text, max_new_tokens=8) for text in pair.prompts(32)], 32)
        yield pair
    finally:
        pair.paged.close()
        pair.genai.close()


def _measure(pair: _Pair, plan: Plan) -> list[Figure]:
    figures: list[Figure] = []
    for name, sampling in SAMPLING.items():
        for clients in CLIENTS:
            figures += _throughput(pair, plan, name, sampling, clients)
    for tokens in (512, 1024):
        figures.append(_first_token(pair, plan, tokens))
    return figures


def _throughput(pair: _Pair, plan: Plan, name: str, sampling: Sampling, clients: int) -> list[Figure]:
    """Tokens per second of both, or of paged with this sampling beside paged without it."""
    rates: dict[str, list[float]] = {"paged": [], "other": []}
    is_alone = name in ONLY_PAGED
    sides = {"paged": (pair.paged, sampling)} | {
        "other": (pair.paged, Sampling()) if is_alone else (pair.genai, sampling)
    }
    for round in range(plan.rounds):
        prompts = pair.prompts(plan.requests[clients])
        for side in ("paged", "other") if round % 2 else ("other", "paged"):
            engine, settings = sides[side]
            requests = [
                GenerateRequest(prompt=text, max_new_tokens=pair.model.new_tokens, sampling=settings)
                for text in prompts
            ]
            rates[side].append(len(prompts) * pair.model.new_tokens / _run(engine, requests, clients))
    own, other = (statistics.median(rates[side]) for side in ("paged", "other"))
    ratio = statistics.median(a / b for a, b in zip(*rates.values(), strict=True))
    target = 0.85 if is_alone else TARGETS.get((name, clients), 1.0)
    peer = "paged, greedy" if is_alone else "genai"
    title = f"{pair.model.name}: {name}, {clients} clients"
    return [
        Figure(f"{title}, tokens/s", own, "/s", peers={peer: other}),
        Figure(f"{title}, median of ratios", ratio, "", target=target),
    ]


def _first_token(pair: _Pair, plan: Plan, tokens: int) -> Figure:
    """Milliseconds from a prompt of so many tokens to its first token, one at a time."""
    times: dict[str, list[float]] = {"paged": [], "genai": []}
    length = min(tokens, pair.paged.describe().max_context - 2)
    for _ in range(plan.firsts):
        words = pair.model.encode(pair.prompts(1) * (1 + tokens // 16))
        prompt = tuple(token for ids in words for token in ids)[-length:]
        prompt = (prompt[0] ^ (pair.seed % 256), *prompt[1:])
        for name, engine in (("paged", pair.paged), ("genai", pair.genai)):
            times[name].append(_run(engine, [GenerateRequest(tokens=prompt, max_new_tokens=1)], 1))
    own, other = (1e3 * statistics.median(side) for side in times.values())
    title = f"{pair.model.name}: first token of {length} tokens"
    return Figure(title, own, "ms", "lower", target=other, peers={"genai": other})


def _run(engine: Engine, requests: list[GenerateRequest], clients: int) -> float:
    """Seconds for all requests, so many at a time."""
    start = time.perf_counter()
    left = iter(enumerate(requests))
    running = 0
    while True:
        while running < clients and (following := next(left, None)) is not None:
            engine.submit(*following)
            running += 1
        if not running:
            return time.perf_counter() - start
        for item in engine.step():
            if not isinstance(item, Chunk):
                raise Failed(f"a request failed: {item.what}")
            running -= item.finish is not None
