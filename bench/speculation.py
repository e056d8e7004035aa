"""What guessing ahead brings: looking up in the text, measured; a draft model, worked out from measured steps.

Looking up is measured with the embedded model, whose weights are real: whether a guess comes true is a matter of what
a model says. Time, on the other hand, does not depend on what the weights are.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from bench.models import embedded, llama_named
from bench.report import Figure, Part
from saker.engine.base import Engine, EngineOptions
from saker.engine.messages import Chunk, GenerateRequest, Sampling
from saker.engine.paged.engine import PagedEngine
from saker.engine.paged.runner import Row

GUESSES = 8
STORY = "Tom has a red ball. Lily has a red ball. Tom has a red ball. Lily has a red ball. Tom"
PLAIN = "Once upon a time, there was a little girl named"
TOKENS = 150
DRAFTS = ("15m-int8",)
TARGETS = ("135m-int8", "1b-int8")
PAST = 256
"""Tokens before those of a timed step."""
LENGTHS = (1, 2, 3, 5, 9)
"""Tokens that one step computes of one answer: its last one and the guesses."""
ACCEPTANCE = 0.8
"""How often a guess of a draft model comes true with well-matched models. Source: Leviathan et al.: Fast Inference from
Transformers via Speculative Decoding. ICML 2023, table 3 (0.62 to 0.88)."""


def measure(*, is_quick: bool) -> Part:
    """Look-up beside none; then what a draft model would need."""
    part = Part("speculation")
    rounds = 3 if is_quick else 9
    for title, prompt, sampling in (
        ("text that repeats itself, greedy", STORY, Sampling()),
        ("text that does not, temperature 1", PLAIN, Sampling(temperature=1.0, seed=1)),
    ):
        part.figures += _look_up(title, prompt, sampling, rounds)
    drafts = {name: _step_ms(name, (1,), rounds)[1] for name in DRAFTS}
    for target in TARGETS:
        costs = _step_ms(target, LENGTHS, rounds)
        peers = {f"{length} tokens": cost for length, cost in costs.items() if length > 1}
        part.figures.append(Figure(f"{target}: a step of 1 token", costs[1], "ms", "lower", peers=peers))
        for draft, cost in drafts.items():
            part.figures += _draft(draft, cost, target, costs)
    part.notes.append("A draft model is worked out, not run: there are no two trained models of one vocabulary here.")
    return part


def _look_up(title: str, prompt: str, sampling: Sampling, rounds: int) -> list[Figure]:
    path = str(embedded().path)
    guessing = PagedEngine(EngineOptions(path, speculation=GUESSES))
    engines = {"without": PagedEngine(EngineOptions(path)), "own": guessing}
    request = GenerateRequest(prompt=prompt, max_new_tokens=TOKENS, sampling=sampling, ignore_eos=True)
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in engines}
    for round in range(rounds):
        for name in engines if round % 2 else reversed(engines):
            found[name].append(_answer(engines[name], request))
    rates = {name: statistics.median(TOKENS / seconds for seconds, _ in of) for name, of in found.items()}
    for engine in engines.values():
        engine.close()
    return [
        Figure(f"look-up, {title}: tokens/s, 1 client", rates["own"], "/s", peers={"without": rates["without"]}),
        Figure(f"look-up, {title}: tokens in a step", TOKENS / found["own"][0][1], ""),
    ]


def _answer(engine: Engine, request: GenerateRequest) -> tuple[float, int]:
    """Seconds and steps from the first token on."""
    engine.submit(1, request)
    engine.step()
    begin, steps = time.perf_counter(), 0
    while engine.has_work():
        items = engine.step()
        assert all(isinstance(item, Chunk) for item in items), items
        steps += 1
    return time.perf_counter() - begin, steps


def _step_ms(name: str, lengths: Sequence[int], rounds: int) -> dict[int, float]:
    """Milliseconds to compute so many tokens of one answer, logits for each."""
    path, shape = llama_named(name)
    engine = PagedEngine(EngineOptions(str(path), kv_cache_bytes=2**28))
    run = engine._loop._runner.run
    ids = list(range(1, PAST + max(lengths) + 1))
    blocks = list(range(16))
    run([Row(ids[:PAST], 0, blocks, 1)])
    found: dict[int, list[float]] = {length: [] for length in lengths}
    for _ in range(rounds * 3):
        for length in lengths:
            begin = time.perf_counter()
            run([Row(ids[PAST : PAST + length], PAST, blocks, length)])
            found[length].append(1e3 * (time.perf_counter() - begin))
    engine.close()
    assert shape.vocabulary > len(ids)
    return {length: statistics.median(times) for length, times in found.items()}


def _draft(draft: str, draft_ms: float, target: str, costs: dict[int, float]) -> list[Figure]:
    needed = next((share / 100 for share in range(1, 101) if speed_up(share / 100, draft_ms, costs) > 1), 1.0)
    gain = speed_up(ACCEPTANCE, draft_ms, costs)
    title = f"draft model {draft} for {target}"
    return [
        Figure(f"{title}: guesses that must come true to break even", 100 * needed, "%", "lower"),
        Figure(f"{title}: tokens/s over those without, if {ACCEPTANCE:.0%} come true", gain, ""),
    ]


def speed_up(acceptance: float, draft_ms: float, costs: dict[int, float]) -> float:
    """At best, over the lengths of a guess: the tokens of a step over what it costs, in steps without guesses.

    Source: Leviathan et al., 2023, theorem 3.8, with the measured cost of checking in place of one step's.
    """
    best = 0.0
    for length, cost in costs.items():
        tokens = sum(acceptance**place for place in range(length))
        best = max(best, tokens * costs[1] / ((length - 1) * draft_ms + cost))
    return best
