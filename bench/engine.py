"""What Saker costs on top of its engine: InvokeEndpoint, signed and over HTTP, against the bare pipeline in-process.

Both sides get the same prompts, run the same weights with the same settings, and take turns; each waits while the
other works. The bare side reads and writes token ids, so Saker's tokenizing and text count against Saker, as do HTTP,
signatures, the gateway, the frames between the processes and the load generator, all on the same cores.
"""

from __future__ import annotations

import itertools
import json
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.bare import BarePipeline, Batch
from bench.load import Load, Outcome, run
from bench.models import BenchModel, embedded, llama_135m
from bench.paths import CACHE
from bench.platform_process import Platform
from bench.processes import Failed
from bench.report import Figure, Part
from saker.engine.base import EngineOptions

CLIENTS = (1, 8, 32)
ENDPOINT = "model"
FIRST_TOKENS = 8
"""Length of the answers whose first token is timed."""


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    rounds: int
    requests: dict[int, int]
    """Requests of a round, by number of clients; times the model's haste."""
    firsts: int
    """Streams of a round, for the time to first token."""


QUICK = Plan(2, {1: 2, 8: 16, 32: 32}, 5)
FULL = Plan(5, {1: 3, 8: 24, 32: 64}, 10)


def measure(*, is_quick: bool) -> Part:
    """Measure with each model that can be had."""
    part = Part("engine")
    for make in (embedded, llama_135m):
        try:
            model = make()
        except Failed as error:
            part.notes.append(f"{make.__name__} was left out: {error}")
            continue
        with _sides(model) as sides:
            part.figures += _measure(sides, QUICK if is_quick else FULL)
    return part


@dataclass
class _Sides:
    """Both sides of the comparison, loaded and idle."""

    model: BenchModel
    platform: Platform
    bare: BarePipeline
    seed: int = 0

    def prompts(self, count: int) -> list[str]:
        """Texts that neither side has seen."""
        self.seed += 1
        return self.model.prompts(count, self.seed)

    def sign(self, operation: str, prompts: list[str], new_tokens: int) -> list[bytes]:
        """A request for each prompt; signed before the clock starts."""
        parameters = {"max_new_tokens": new_tokens}
        bodies = [json.dumps({"inputs": prompt, "parameters": parameters}) for prompt in prompts]
        common = {"EndpointName": ENDPOINT, "ContentType": "application/json"}
        return self.platform.sign(operation, [common | {"Body": body} for body in bodies])

    def throughput(self, clients: int, count: int) -> tuple[float, float]:
        """Tokens per second of Saker and of the bare pipeline; they go first in turns."""
        prompts, tokens = self.prompts(count), self.model.new_tokens
        batch = Batch(self.model.encode(prompts), clients, tokens)
        load = Load(self.platform.port, self.sign("invoke_endpoint", prompts, tokens), clients, count)
        if self.seed % 2:
            bare, own = self.bare.run(batch), _all_answered(load)
        else:
            own, bare = _all_answered(load), self.bare.run(batch)
        return count * tokens / own.wall_s, bare.tokens / bare.wall_s

    def first_tokens(self, count: int) -> tuple[list[float], list[float]]:
        """Seconds to the first token of Saker and of the bare pipeline, one request at a time."""
        prompts = self.prompts(count)
        bare = [self.bare.run(Batch([ids], 1, FIRST_TOKENS)).first_s for ids in self.model.encode(prompts)]
        signed = self.sign("invoke_endpoint_with_response_stream", prompts, FIRST_TOKENS)
        return _all_answered(Load(self.platform.port, signed, 1, count)).first_s, bare


def _all_answered(load: Load) -> Outcome:
    outcome = run(load)
    if outcome.failures:
        raise Failed(f"{outcome.failures} of {load.count} requests failed: {outcome.bodies[-1]!r:.200}")
    return outcome


@contextmanager
def _sides(model: BenchModel) -> Iterator[_Sides]:
    home = CACHE / "engine-home"
    shutil.rmtree(home, ignore_errors=True)
    sequences = EngineOptions("").max_sequences
    with Platform(home, demo="false") as platform, BarePipeline(model.path, sequences) as bare:
        platform.deploy(ENDPOINT, model.path, SAKER_ENGINE="genai")
        sides = _Sides(model, platform, bare)
        sides.throughput(max(CLIENTS), 2 * max(CLIENTS))  # warm up
        sides.first_tokens(3)
        yield sides


def _name(clients: int) -> str:
    return f"{clients} client{'s' if clients > 1 else ''}"


def _measure(sides: _Sides, plan: Plan) -> list[Figure]:
    name = sides.model.name
    figures: list[Figure] = []
    for clients in CLIENTS:
        count = plan.requests[clients] * sides.model.haste
        pairs = [sides.throughput(clients, count) for _ in range(plan.rounds)]
        own, bare = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(own / bare for own, bare in pairs)
        figures.append(Figure(f"{name}: tokens/s, {_name(clients)}", own, "/s", peers={"bare pipeline": bare}))
        figures.append(Figure(f"{name}: Saker / bare, {_name(clients)}, median of rounds", ratio, "", target=0.95))
    firsts = [sides.first_tokens(plan.firsts) for _ in range(plan.rounds)]
    own, bare = (1e3 * statistics.median(itertools.chain(*side)) for side in zip(*firsts, strict=True))
    figures.append(Figure(f"{name}: time to first token", own, "ms", "lower", peers={"bare pipeline": bare}))
    figures.append(Figure(f"{name}: time to first token, Saker - bare", own - bare, "ms", "lower", target=5.0))
    return figures
