"""Both engines under the trace, at each rate."""

from __future__ import annotations

import random
import statistics
from dataclasses import replace

from bench.paged.pair import Pair
from bench.paged.plan import Plan
from bench.paged.trace import NAME, Replay, p95, path, read, replay
from bench.report import Figure, Part


def measure(pair: Pair, plan: Plan, part: Part) -> list[Figure]:
    """Time to first token, time per token and tokens per second, at every rate."""
    if plan.rates and not path().exists():
        part.notes.append(f"The trace was left out: {NAME} is not in the test data (SAKER_TEST_DATA).")
        return []
    figures: list[Figure] = []
    for rate in plan.rates:
        figures += _at(pair, plan, rate, part)
    return figures


def _at(pair: Pair, plan: Plan, rate: float, part: Part) -> list[Figure]:
    max_context = min(engine.describe().max_context for engine in (pair.own, pair.genai))
    arrivals, cut = read(plan.trace_requests, rate, max_context)
    if rate == plan.rates[0]:
        part.notes.append(
            f"The trace: its first {plan.trace_requests} requests, greedy; {cut} of their prompts were cut to the "
            f"model's context of {max_context:,} tokens."
        )
    seed = next(pair.seeds)
    draw = random.Random(seed)
    requests = [arrival.request(draw, pair.vocabulary) for arrival in arrivals]
    due_s = [arrival.due_s for arrival in arrivals]
    engines = [("own", pair.own), ("genai", pair.genai)]
    found = {name: replay(engine, due_s, requests) for name, engine in (engines if seed % 2 else engines[::-1])}
    return _figures(f"trace, {rate:g} requests/s", found["own"], found["genai"], is_full=rate == plan.rates[-1])


def _figures(title: str, own: Replay, genai: Replay, *, is_full: bool) -> list[Figure]:
    """Where the engines can do more than is asked, tokens per second tell of the arrivals alone, and have no target."""
    late = 1e3 * p95(genai.first_s)
    rate = genai.tokens / genai.wall_s
    return [
        _times(f"{title}: time to first token, p50", statistics.median(own.first_s), statistics.median(genai.first_s)),
        replace(_times(f"{title}: time to first token, p95", p95(own.first_s), p95(genai.first_s)), target=late),
        _times(f"{title}: time per token, p95", p95(own.per_token_s), p95(genai.per_token_s)),
        Figure(
            f"{title}: tokens/s",
            own.tokens / own.wall_s,
            "/s",
            target=rate if is_full else None,
            peers={"genai": rate},
        ),
    ]


def _times(name: str, own_s: float, genai_s: float) -> Figure:
    return Figure(name, 1e3 * own_s, "ms", "lower", peers={"genai": 1e3 * genai_s})
