"""Picks the best of several answers to one request, when all are there."""

from __future__ import annotations

import msgspec

from saker.engine.messages import Chunk, PromptToken


class Contest:
    """The answers to a request with `best_of`.

    Source: text-generation-inference, router/src/infer: the highest mean log probability wins.
    """

    def __init__(self, answers: int, winners: int) -> None:
        """
        Args:
            winners: How many answers are reported; the others are forgotten.
        """
        self._missing = answers
        self._winners = winners
        self._ended: list[tuple[float, Chunk]] = []

    def end(self, mean_logprob: float, answer: Chunk, prompt: tuple[PromptToken, ...]) -> list[Chunk]:
        """Take a whole answer in; returns the winners with the last one, the likeliest first, and before it nothing."""
        self._ended.append((mean_logprob, answer))
        if len(self._ended) < self._missing:
            return []
        ranked = sorted(self._ended, key=lambda ended: -ended[0])[: self._winners]
        return [
            msgspec.structs.replace(chunk, index=place, prompt=() if place else prompt)
            for place, (_, chunk) in enumerate(ranked)
        ]
