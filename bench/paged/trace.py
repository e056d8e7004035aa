"""Requests as people sent them: lengths and arrivals of Azure's conversation trace, in open loop.

The trace's arrivals are stretched so that requests come at a wanted mean rate; what is bursty stays bursty. A request's
times count from when it was due, whether or not the engine was busy then.

Source: https://github.com/Azure/AzurePublicDataset (AzureLLMInferenceTrace_conv, November 2023).
"""

from __future__ import annotations

import csv
import datetime
import os
import random
import statistics
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from bench.paths import ROOT
from bench.processes import Failed
from saker.engine.base import Engine
from saker.engine.messages import Chunk, GenerateRequest

NAME = "llm_traces/AzureLLMInferenceTrace_conv.csv"


@dataclass(frozen=True)
class Arrival:
    """One line of the trace."""

    due_s: float
    """From the first one."""
    prompt_tokens: int
    new_tokens: int

    def request(self, draw: random.Random, vocabulary: int) -> GenerateRequest:
        """A request of these lengths that streams, so that its first token is seen."""
        ids = tuple(draw.randrange(1, vocabulary) for _ in range(self.prompt_tokens))
        return GenerateRequest(tokens=ids, max_new_tokens=self.new_tokens, stream=True, ignore_eos=True)


@dataclass
class Replay:
    """What came of one run of the trace."""

    first_s: list[float] = field(default_factory=list)
    """From when each request was due to its first token."""
    per_token_s: list[float] = field(default_factory=list)
    """Mean time between an answer's tokens."""
    tokens: int = 0
    wall_s: float = 0.0


def path() -> Path:
    """Where the trace lies, if it is here."""
    return Path(os.environ.get("SAKER_TEST_DATA", ROOT.parent / "shared" / "data")) / NAME


def read(count: int, rate: float, max_context: int) -> tuple[list[Arrival], int]:
    """The trace's first requests at so many a second, and how many of them were cut to fit the context."""
    with path().open(newline="") as lines:
        rows = list(islice(csv.DictReader(lines), count))
    times = [datetime.datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp() for row in rows]
    stretch = (count - 1) / rate / (times[-1] - times[0])
    arrivals, cut = [], 0
    for row, at in zip(rows, times, strict=True):
        new_tokens = max(int(row["GeneratedTokens"]), 2)
        room = max_context - new_tokens
        cut += int(row["ContextTokens"]) > room
        arrivals.append(Arrival((at - times[0]) * stretch, min(int(row["ContextTokens"]), room), new_tokens))
    return arrivals, cut


def replay(engine: Engine, due_s: Sequence[float], requests: Sequence[GenerateRequest]) -> Replay:
    """Send each request when it is due, and step while there is work.

    Raises:
        Failed: A request failed.
    """
    found = Replay()
    waiting = deque(enumerate(due_s))
    firsts: dict[int, float] = {}
    begin = time.perf_counter()
    while waiting or engine.has_work():
        now = time.perf_counter() - begin
        while waiting and waiting[0][1] <= now:
            id, _ = waiting.popleft()
            engine.submit(id, requests[id])
        if not engine.has_work():
            time.sleep(max(waiting[0][1] - (time.perf_counter() - begin), 0))
            continue
        items = engine.step()
        now = time.perf_counter() - begin
        for item in items:
            if not isinstance(item, Chunk):
                raise Failed(f"a request failed: {item.what}")
            firsts.setdefault(item.id, now)
            if item.finish is not None:
                found.first_s.append(firsts[item.id] - due_s[item.id])
                found.per_token_s.append((now - firsts[item.id]) / (item.finish.generated_tokens - 1))
                found.tokens += item.finish.generated_tokens
    found.wall_s = time.perf_counter() - begin
    return found


def p95(values: Sequence[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(values, n=20, method="inclusive")[-1]
