"""What a shared system prompt saves: many short questions behind it, beside prompts that share nothing."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

from bench.paged.pair import Pair, requests, run
from bench.paged.plan import Budget, Plan
from bench.report import Figure
from saker.engine.base import Engine

SYSTEM_TOKENS = 1000
QUESTION_TOKENS = 24
ANSWER_TOKENS = 16
CLIENTS = 8


def measure(pair: Pair, plan: Plan) -> list[Figure]:
    """Requests per second of both engines, with the shared prompt read already and without one."""
    engines = {"own": pair.own, "genai": pair.genai}
    shared: dict[str, Callable[[int], float]] = {
        name: partial(_shared, pair, engine, plan.shared_requests) for name, engine in engines.items()
    }
    distinct: dict[str, Callable[[int], float]] = {
        name: partial(_distinct, pair, engine, plan.distinct_requests) for name, engine in engines.items()
    }
    warm = _medians(pair.interleave(shared, Budget(plan.round_s / 2, 2)))
    cold = _medians(pair.interleave(distinct, Budget(plan.round_s / 2, 1)))
    gain = {name: warm[name] / cold[name] for name in engines}
    title = f"{SYSTEM_TOKENS:,} tokens and a question, {CLIENTS} clients"
    return [
        Figure(f"{title}: requests/s, beginning shared", warm["own"], "/s", peers={"genai": warm["genai"]}),
        Figure(f"{title}: requests/s, nothing shared", cold["own"], "/s", peers={"genai": cold["genai"]}),
        Figure(f"{title}: shared over not shared", gain["own"], "", peers={"genai": gain["genai"]}),
    ]


def _shared(pair: Pair, engine: Engine, count: int, seed: int) -> float:
    (system,) = pair.prompts(seed, 1, SYSTEM_TOKENS)
    run(engine, requests([system], 1), 1)
    questions = pair.prompts(f"{seed} questions", count, QUESTION_TOKENS)
    asked = requests([system + question for question in questions], ANSWER_TOKENS)
    return count / run(engine, asked, CLIENTS)


def _distinct(pair: Pair, engine: Engine, count: int, seed: int) -> float:
    prompts = pair.prompts(seed, count, SYSTEM_TOKENS + QUESTION_TOKENS)
    return count / run(engine, requests(prompts, ANSWER_TOKENS), CLIENTS)


def _medians(rates: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(of) for name, of in rates.items()}
