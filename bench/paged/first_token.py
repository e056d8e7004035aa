"""Time to the first token of short and long prompts, one client."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

from bench import bare
from bench.paged.pair import Pair, requests, run
from bench.paged.plan import Budget, Plan
from bench.report import Figure
from saker.engine.base import Engine

LENGTHS = (512, 4096)


def measure(pair: Pair, plan: Plan) -> list[Figure]:
    """Milliseconds from a prompt to its first token."""
    return [_first_token(pair, plan.firsts, length) for length in LENGTHS]


def _first_token(pair: Pair, rounds: int, length: int) -> Figure:
    sides: dict[str, Callable[[int], float]] = {
        "own": partial(_engine_s, pair, pair.own, length),
        "genai": partial(_engine_s, pair, pair.genai, length),
        "bare pipeline": partial(_bare_s, pair, length),
    }
    times = pair.interleave(sides, Budget(0, rounds))
    own, genai, bare_ = (1e3 * statistics.median(of) for of in times.values())
    title = f"first token of {length:,} tokens, median of {rounds}"
    return Figure(title, own, "ms", "lower", target=genai, peers={"genai": genai, "bare pipeline": bare_})


def _engine_s(pair: Pair, engine: Engine, length: int, seed: int) -> float:
    return run(engine, requests(pair.prompts(seed, 1, length), 1), 1)


def _bare_s(pair: Pair, length: int, seed: int) -> float:
    (prompt,) = pair.prompts(seed, 1, length)
    return bare.answer(pair.bare, bare.Batch([list(prompt)], 1, 1)).wall_s
