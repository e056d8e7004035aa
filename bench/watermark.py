"""How well the watermark is found, from text alone, and what it costs: stories of the embedded model on engine `paged`.

Every answer is decoded and cut into tokens again, as a detector must do it; the peer "token ids" scores the tokens that
were drawn, so the difference is what cutting again costs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from bench.paths import ROOT
from bench.report import Figure, Part
from saker.engine.base import EngineOptions
from saker.engine.config import read_config
from saker.engine.messages import Chunk, GenerateRequest, Sampling
from saker.engine.paged.watermark import DELTA, GAMMA, KEY, detect
from saker.engine.text import FastTokenizer
from saker.models.store import EMBEDDED

STORIES = ROOT.parent / "shared" / "data" / "text_tinystories" / "tinystories_cased_2MB.txt"
LENGTHS = (25, 50, 100, 200)
THRESHOLDS = (1e-3, 1e-5)
OTHER_KEYS = range(1, 21)
OPENINGS = (
    *("Once upon a time", "One day, a girl named Lily", "Tom and Sue went to the", "The big red dog", "In the park,"),
    *("There was a little boy named Tim", "Mom and Dad", "A small bird", "The sun was", "Anna liked to"),
)


@dataclass
class Answer:
    """The tokens of one answer, and the model's own log probability of each."""

    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)


def measure(*, is_quick: bool) -> Part:
    """How often marked and unmarked text is taken for marked, and the mark's perplexity."""
    count = 40 if is_quick else 200
    tokenizer = FastTokenizer(EMBEDDED)
    marked, unmarked = write(count, watermark=True), write(count, watermark=False)
    part = Part("watermark")
    for length in LENGTHS:
        part.figures += _found(marked, tokenizer, length)
    part.figures += _false_alarms(unmarked, tokenizer)
    part.figures += _human(part, tokenizer, 100 if is_quick else 1000)
    kept = [_again(answer.ids, tokenizer) == answer.ids for answer in marked]
    part.figures.append(Figure("answers whose text gives the very same tokens", _percent(kept), "%"))
    peers = {"unmarked": _perplexity(unmarked)}
    part.figures.append(Figure("perplexity of marked answers", _perplexity(marked), "", "lower", None, peers))
    part.notes.append(
        f"{count} marked and {count} unmarked answers of {LENGTHS[-1]} tokens at temperature 1; "
        f"gamma {GAMMA}, delta {DELTA}, the default key."
    )
    return part


def write(count: int, *, watermark: bool) -> list[Answer]:
    """Answers of equal length: the tokens that end a story are never drawn."""
    from saker.engine.paged.engine import PagedEngine  # here, so that other parts run without it

    engine = PagedEngine(EngineOptions(str(EMBEDDED), max_sequences=64))
    never = dict.fromkeys(read_config(EMBEDDED).eos_ids, -100.0)
    answers = [Answer() for _ in range(count)]
    for id in range(count):
        request = GenerateRequest(
            prompt=OPENINGS[id % len(OPENINGS)],
            max_new_tokens=LENGTHS[-1],
            sampling=Sampling(temperature=1.0, seed=1000 + id),
            logprobs=True,
            watermark=watermark,
            logit_bias=never,
        )
        engine.submit(id, request)
    while engine.has_work():
        for chunk in engine.step():
            assert isinstance(chunk, Chunk), chunk
            answers[chunk.id].ids += [token.id for token in chunk.tokens]
            answers[chunk.id].logprobs += [token.logprob for token in chunk.tokens]
    engine.close()
    return answers


def _found(marked: Sequence[Answer], tokenizer: FastTokenizer, length: int) -> Iterable[Figure]:
    beginnings = [answer.ids[:length] for answer in marked]
    cut = _p_values(_again(ids, tokenizer) for ids in beginnings)
    drawn = _p_values(beginnings)
    for threshold in THRESHOLDS:
        peers = {"token ids": _percent(drawn < threshold)}
        target = 90.0 if length == LENGTHS[-1] else None
        name = f"{length} tokens: marked answers found at p < {threshold:g}"
        yield Figure(name, _percent(cut < threshold), "%", "higher", target, peers)


def _false_alarms(unmarked: Sequence[Answer], tokenizer: FastTokenizer) -> Iterable[Figure]:
    """At all lengths together; the longer ones hold the shorter ones."""
    p_values = _p_values(_again(answer.ids[:length], tokenizer) for answer in unmarked for length in LENGTHS)
    for threshold in THRESHOLDS:
        name = f"unmarked answers taken for marked at p < {threshold:g}"
        yield Figure(name, _percent(p_values < threshold), "%", "lower", 1.0)


def _human(part: Part, tokenizer: FastTokenizer, count: int) -> Iterable[Figure]:
    if not STORIES.exists():
        part.notes.append("Human text is left out: the stories are not here.")
        return
    stories = STORIES.read_text(encoding="utf-8").split("<|endoftext|>")
    texts = [tokenizer.encode(story.strip(), special=False)[: LENGTHS[-1]] for story in stories if len(story) > 200]
    texts = texts[:count]
    p_values = _p_values(texts)
    for threshold in THRESHOLDS:
        name = f"stories taken for marked at p < {threshold:g}"
        yield Figure(name, _percent(p_values < threshold), "%", "lower", 1.0)
    z_by_key = {key: _mean_z(texts[:100], key) for key in (KEY, *OTHER_KEYS)}
    peers = {f"the worst of {len(OTHER_KEYS)} other keys": max(z_by_key[key] for key in OTHER_KEYS)}
    yield Figure("stories: mean z, 0 without common pairs", z_by_key[KEY], "", "lower", None, peers)
    pairs = [pair for ids in texts for pair in pairwise(ids)]
    part.notes.append(
        f"{len(texts)} stories of the TinyStories sample, cut at {LENGTHS[-1]} tokens; they share pairs of tokens "
        f"({len(set(pairs)):,} different ones among {len(pairs):,}), so that with one key their z values err together."
    )


def _again(ids: Sequence[int], tokenizer: FastTokenizer) -> list[int]:
    return tokenizer.encode(tokenizer.decode(ids), special=False)


def _p_values(texts: Iterable[Sequence[int]]) -> np.ndarray:
    return np.array([detect(ids).p_value for ids in texts])


def _mean_z(texts: Sequence[Sequence[int]], key: int) -> float:
    return float(np.mean([detect(ids, key=key).z for ids in texts]))


def _percent(is_so: Sequence[bool] | np.ndarray) -> float:
    return 100.0 * float(np.mean(is_so))


def _perplexity(answers: Sequence[Answer]) -> float:
    """Under the unmarked model."""
    return math.exp(-float(np.mean([logprob for answer in answers for logprob in answer.logprobs])))
