"""Log probabilities of drawn tokens and of the likeliest ones, for the answers that ask for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from saker.engine.messages import PromptToken, Token
from saker.engine.paged.generation import Generation
from saker.engine.paged.sample import log_normalizer, top
from saker.engine.text import Tokenizer


class Logprobs:
    """Says how likely the model, before any change of its logits, found what was drawn."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._texts: dict[int, str] = {}
        """Of tokens that were among the likeliest, each alone."""

    def note(self, logits: npt.NDArray[np.float32], generations: Sequence[Generation]) -> Noted | None:
        """Keep the rows that are asked for, before a draw changes them; None where none is."""
        asked = {
            place: generation.request.top_logprobs
            for place, generation in enumerate(generations)
            if generation.wants_logprobs
        }
        if not asked:
            return None
        rows = {place: logits[place].copy() if generations[place].chooser.changes else logits[place] for place in asked}
        return Noted(rows, asked, self._text)

    def of_tokens(self, logits: npt.NDArray[np.float32], tokens: Sequence[int]) -> list[float]:
        """The log probability of a token for each row."""
        return [float(row[token]) - log_normalizer(row) for row, token in zip(logits, tokens, strict=True)]

    def prompt(self, tokens: Sequence[int], logprobs: Sequence[float]) -> tuple[PromptToken, ...]:
        """A prompt's tokens with the log probabilities of all but the first."""
        known = (None, *logprobs)
        return tuple(PromptToken(id, self._text(id), known[place]) for place, id in enumerate(tokens))

    def _text(self, id: int) -> str:
        text = self._texts.get(id)
        if text is None:
            text = self._texts[id] = self._tokenizer.decode([id])
        return text


class Noted:
    """One step's rows."""

    def __init__(
        self, rows: dict[int, npt.NDArray[np.float32]], counts: dict[int, int], text: Callable[[int], str]
    ) -> None:
        self._rows = rows
        self._counts = counts
        self._text = text

    def of(self, place: int, token: int) -> tuple[float | None, tuple[Token, ...]]:
        """The log probability of the token drawn at a place, and the likeliest tokens there; None, () if not asked."""
        logits = self._rows.get(place)
        if logits is None:
            return None, ()
        normalizer = log_normalizer(logits)
        count = self._counts[place]
        likeliest = top(logits, count)[:count].tolist() if count else ()
        tops = tuple(Token(id, self._text(id), float(logits[id]) - normalizer) for id in likeliest)
        return float(logits[token]) - normalizer, tops
