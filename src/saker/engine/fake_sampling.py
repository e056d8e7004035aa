"""Draws a word for the fake engine, so that each sampling parameter has its usual meaning there."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from saker.engine.messages import Sampling


def draw(
    candidates: list[str], said: Mapping[str, int], sampling: Sampling, source: random.Random
) -> tuple[str, float]:
    """A word, and its probability before sampling.

    Args:
        candidates: The likeliest first; each is half as likely as the one before. A repeated one counts once.
        said: How often the answer holds each word already.
    """
    scores: dict[str, float] = {}
    for rank, word in enumerate(candidates):
        scores.setdefault(word, -(rank + 1) * math.log(2))
    plain = _softmax(scores, 1.0)
    if sampling != Sampling():
        for word, count in said.items():
            if word in scores:
                # All scores are below 0, where a penalty multiplies.
                scores[word] *= sampling.repetition_penalty
                scores[word] -= sampling.frequency_penalty * count + sampling.presence_penalty
    if sampling.temperature <= 0:
        best = max(scores, key=scores.__getitem__)
        return best, plain[best]
    shares = sorted(_softmax(scores, sampling.temperature).items(), key=lambda item: -item[1])
    kept = _keep_likely(shares, sampling)
    word = source.choices([word for word, _ in kept], [share for _, share in kept])[0]
    return word, plain[word]


def _softmax(scores: dict[str, float], temperature: float) -> dict[str, float]:
    top = max(scores.values())
    weights = {word: math.exp((score - top) / temperature) for word, score in scores.items()}
    total = sum(weights.values())
    return {word: weight / total for word, weight in weights.items()}


def _keep_likely(shares: list[tuple[str, float]], sampling: Sampling) -> list[tuple[str, float]]:
    """Apply top_k, top_p and min_p to words sorted by falling probability."""
    if sampling.top_k:
        shares = shares[: sampling.top_k]
    kept: list[tuple[str, float]] = []
    mass = 0.0
    for word, share in shares:
        if kept and (mass >= sampling.top_p or share < sampling.min_p * shares[0][1]):
            break
        kept.append((word, share))
        mass += share
    return kept
