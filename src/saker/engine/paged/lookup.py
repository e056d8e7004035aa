"""Guesses the next tokens from what the text has said before: after the same few tokens the same ones often follow.

A guess costs nothing but arithmetic, since the model reads its tokens together with the last one; every token is still
drawn from the model's own logits, so a wrong guess changes no answer.

Source: Saxena: Prompt Lookup Decoding, 2023 (https://github.com/apoorvumang/prompt-lookup-decoding).
"""

from __future__ import annotations

from collections.abc import Sequence

PATTERN = 3
"""Tokens that must have come before. Fewer guess more often, and worse."""


class Lookup:
    """The guesses for one answer."""

    __slots__ = ("_most", "_places", "_read", "_tokens", "length")

    def __init__(self, tokens: Sequence[int], most: int) -> None:
        """
        Args:
            tokens: The prompt and the answer; the caller appends to it.
            most: The longest guess.
        """
        self._tokens = tokens
        self._most = most
        self._places: dict[tuple[int, ...], int] = {}
        """What comes after each pattern, the latest place."""
        self._read = PATTERN
        self.length = most
        """Of the next guess: as long as guesses come true, else barely longer than what came true."""

    def guess(self, room: int) -> list[int]:
        """The tokens that may come next, at most so many; [] for no idea."""
        tokens = self._tokens
        for end in range(self._read, len(tokens)):
            self._places[tuple(tokens[end - PATTERN : end])] = end
        self._read = max(len(tokens), PATTERN)
        if room < 1:
            return []
        start = self._places.get(tuple(tokens[-PATTERN:]))
        return [] if start is None else list(tokens[start : start + min(self.length, room)])

    def learn(self, guessed: int, right: int) -> None:
        """Guess longer after a guess that came true, shorter after one that did not."""
        self.length = min(2 * guessed, self._most) if right == guessed else right + 1
