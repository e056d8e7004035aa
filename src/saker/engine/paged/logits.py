"""Changes logits before a token is drawn from them: penalties, biases, watermark. Each in place, on one row.

Row by row, because each touches few places of a row, and other places in each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from saker.core.errors import InvalidInput
from saker.engine.messages import GenerateRequest
from saker.engine.paged.watermark import Watermark

Row = npt.NDArray[np.float32]


class Change(Protocol):
    """One way to change logits; belongs to one answer."""

    def apply(self, row: Row) -> None:
        """Change the logits of the next token."""
        ...

    def take(self, token: int) -> None:
        """Take note of the token that was drawn."""
        ...


class Form(Change, Protocol):
    """A change that lets an answer have one form only."""

    failure: InvalidInput | None
    """Why the answer had to end before its form was complete."""

    @property
    def is_over(self) -> bool:
        """Whether the form allows nothing more."""
        ...

    def forced(self) -> list[int]:
        """The tokens that must come next, as far as there is no choice."""
        ...


class RepetitionPenalty:
    """Makes every token of prompt and answer less likely. Source: Keskar et al., CTRL, 2019."""

    def __init__(self, penalty: float, prompt: Sequence[int]) -> None:
        self._penalty = np.float32(penalty)
        self._seen = TokenSet(prompt)

    def apply(self, row: Row) -> None:
        """Divide positive logits and multiply negative ones."""
        ids = self._seen.ids
        logits = row[ids]
        row[ids] = np.where(logits < 0, logits * self._penalty, logits / self._penalty)

    def take(self, token: int) -> None:
        """Count the token as seen."""
        self._seen.add(token)


class CountPenalty:
    """Lowers the answer's own tokens: by their count, and by whether they occur.

    Source: https://platform.openai.com/docs/api-reference/chat/create (frequency_penalty, presence_penalty).
    """

    def __init__(self, frequency: float, presence: float) -> None:
        self._frequency = frequency
        self._presence = presence
        self._counts: dict[int, int] = {}
        self._seen = TokenSet(())
        self._penalties = np.zeros(16, np.float32)

    def apply(self, row: Row) -> None:
        """Subtract the penalties."""
        ids = self._seen.ids
        row[ids] -= self._penalties[: len(ids)]

    def take(self, token: int) -> None:
        """Count the token."""
        place = self._seen.add(token)
        if place == len(self._penalties):
            self._penalties = np.concatenate([self._penalties, np.zeros_like(self._penalties)])
        count = self._counts[token] = self._counts.get(token, 0) + 1
        self._penalties[place] = count * self._frequency + self._presence


class Bias:
    """Adds fixed numbers to the logits of some tokens."""

    def __init__(self, biases: Mapping[int, float]) -> None:
        self._ids = np.fromiter(biases.keys(), np.int64, len(biases))
        self._values = np.fromiter(biases.values(), np.float32, len(biases))

    def apply(self, row: Row) -> None:
        """Add the biases."""
        row[self._ids] += self._values

    def take(self, token: int) -> None:
        """Nothing changes with the tokens."""


class TokenSet:
    """Distinct tokens as an array that grows in place."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._places = {token: place for place, token in enumerate(dict.fromkeys(tokens))}
        self._ids = np.zeros(max(2 * len(self._places), 16), np.int64)
        self._ids[: len(self._places)] = list(self._places)

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        """The tokens, in the order in which they came."""
        return self._ids[: len(self._places)]

    def add(self, token: int) -> int:
        """Where the token is among them, from now on at the latest."""
        place = self._places.setdefault(token, len(self._places))
        if place == len(self._ids):
            self._ids = np.concatenate([self._ids, np.zeros_like(self._ids)])
        self._ids[place] = token
        return place


def changes_for(request: GenerateRequest, prompt: Sequence[int], watermark: Watermark) -> list[Change]:
    """What the request asks for, in the order in which transformers applies it; [] for plain logits."""
    sampling = request.sampling
    found: list[Change] = []
    if sampling.repetition_penalty != 1.0:
        found.append(RepetitionPenalty(sampling.repetition_penalty, prompt))
    if sampling.frequency_penalty or sampling.presence_penalty:
        found.append(CountPenalty(sampling.frequency_penalty, sampling.presence_penalty))
    if request.logit_bias:
        found.append(Bias(request.logit_bias))
    if request.watermark:
        found.append(watermark.change(prompt[-1]))
    return found
