"""What our engine's Python costs in a step, and how near one client comes to the memory's bandwidth."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import openvino

from bench.models import SHAPES, Shape
from bench.paged.pair import NEW_TOKENS, Pair, requests
from bench.processes import Failed
from bench.report import Figure, Part
from saker.engine.base import Engine

CLIENTS = (1, 8, 32)
BUFFER_BYTES = 2**30
READS = 5
CACHE_BYTES = 64 * 2**20
"""Weights that may fit the processor's cache are not read from memory; they get no share of its bandwidth."""


class _Timed:
    """An inference request that adds up how long it runs."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)

    def infer(self, **options: Any) -> Any:
        begin = time.perf_counter()
        result = self._request.infer(**options)
        self.seconds += time.perf_counter() - begin
        return result


def measure(pair: Pair, part: Part) -> list[Figure]:
    """Milliseconds outside the inference, by number of clients; then the share of the bandwidth."""
    figures: list[Figure] = []
    step_s = {}
    for clients in CLIENTS:
        outside_s, step_s[clients] = _steps(pair, clients)
        title = f"a step outside the inference, {clients} client{'s' if clients > 1 else ''}"
        figures.append(Figure(title, 1e3 * outside_s, "ms", "lower"))
        figures.append(Figure(f"{title}: share of the step", 100 * outside_s / step_s[clients], "%", "lower"))
    return figures + _roofline(pair.name, step_s[1], part)


def _steps(pair: Pair, clients: int) -> tuple[float, float]:
    """Mean seconds of a step outside the inference and of a whole step; every row draws a token."""
    holder, name = _find_request(pair.own)
    timed = _Timed(getattr(holder, name))
    setattr(holder, name, timed)
    try:
        for id, request in enumerate(requests(pair.prompts(next(pair.seeds), clients), NEW_TOKENS)):
            pair.own.submit(id, request)
        outside, whole = _time_steps(pair.own, timed)
    finally:
        setattr(holder, name, timed._request)
    skip = max(len(whole) - NEW_TOKENS + 1, 0)  # those that read prompts
    return statistics.mean(outside[skip:]), statistics.mean(whole[skip:])


def _time_steps(engine: Engine, timed: _Timed) -> tuple[list[float], list[float]]:
    outside, whole = [], []
    while engine.has_work():
        inside = timed.seconds
        begin = time.perf_counter()
        engine.step()
        whole.append(time.perf_counter() - begin)
        outside.append(whole[-1] - (timed.seconds - inside))
    return outside, whole


def _find_request(engine: Any) -> tuple[Any, str]:
    """Who holds the inference request, and under which name; looked for in all that our engine is made of."""
    holders, seen = [engine], set[int]()
    for holder in holders:
        for name, value in getattr(holder, "__dict__", {}).items():
            if isinstance(value, openvino.InferRequest):
                return holder, name
            if type(value).__module__.startswith("saker.") and id(value) not in seen:
                seen.add(id(value))
                holders.append(value)
    raise Failed("no part of the engine holds an inference request; the benchmark must look for it elsewhere")


def _roofline(name: str, step_s: float, part: Part) -> list[Figure]:
    shape, _, weight_format = name.partition("-")
    weights = weights_per_token(SHAPES[shape]) * (1 if weight_format == "int8" else 2)
    if weights < CACHE_BYTES:
        part.notes.append(f"No share of the memory's bandwidth: {weights / 1e6:.0f} MB of weights may fit the cache.")
        return []
    bandwidth = read_bandwidth()
    part.notes.append(
        f"A token at one client reads {weights / 1e6:,.0f} MB of weights; keys and values and scales come on top."
    )
    return [
        Figure("memory read bandwidth, all cores", bandwidth / 1e9, "GB/s"),
        Figure("weights read over that bandwidth, 1 client", 100 * weights / step_s / bandwidth, "%"),
    ]


def weights_per_token(shape: Shape) -> int:
    """Numbers read for one token: all layers and the last matrix; of the first matrix a token needs one row."""
    head_size = shape.hidden // shape.heads
    attention = 2 * shape.hidden * head_size * (shape.heads + shape.kv_heads)
    return shape.layers * (attention + 3 * shape.hidden * shape.intermediate) + shape.vocabulary * shape.hidden


def read_bandwidth() -> float:
    """Bytes per second that all cores read together: the best of several reductions of a large buffer."""
    parts = np.array_split(np.ones(BUFFER_BYTES // 4, np.float32), len(os.sched_getaffinity(0)))
    reductions: tuple[Callable[[Any], Any], ...] = (np.max, np.sum, lambda part: np.dot(part, part))
    return max(BUFFER_BYTES / _together(reduce, parts) for reduce in reductions for _ in range(READS))


def _together(reduce: Callable[[Any], Any], parts: list[Any]) -> float:
    threads = [threading.Thread(target=reduce, args=(part,)) for part in parts]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begin
