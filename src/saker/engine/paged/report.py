"""Log probabilities of drawn tokens and of the likeliest ones, for the answers that ask for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from saker.engine.messages import Token
from saker.engine.paged.generation import Generation
from saker.engine.paged.sample import log_normalizers, top
from saker.engine.text import Tokenizer


class Logprobs:
    """Says how likely the model, before any change of its logits, found what was drawn."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def note(self, logits: npt.NDArray[np.float32], generations: Sequence[Generation]) -> Noted | None:
        """Keep the rows that are asked for, before a draw changes them; None where none is."""
        asked = [
            place
            for place, generation in enumerate(generations)
            if generation.request.logprobs or generation.request.top_logprobs
        ]
        if not asked:
            return None
        counts = {place: generations[place].request.top_logprobs for place in asked}
        return Noted(logits[asked], counts, self._tokenizer)


class Noted:
    """One step's rows."""

    def __init__(self, logits: npt.NDArray[np.float32], counts: dict[int, int], tokenizer: Tokenizer) -> None:
        self._logits = logits
        self._normalizers = log_normalizers(logits)
        self._rows = {place: row for row, place in enumerate(counts)}
        self._counts = counts
        self._tokenizer = tokenizer

    def of(self, place: int, token: int) -> tuple[float | None, tuple[Token, ...]]:
        """The log probability of the token drawn at a place, and the likeliest tokens there; None, () if not asked."""
        row = self._rows.get(place)
        if row is None:
            return None, ()
        logits, normalizer = self._logits[row], self._normalizers[row]
        count = self._counts[place]
        likeliest = top(logits, count)[:count] if count else ()
        tops = tuple(
            Token(int(id), self._tokenizer.decode([int(id)]), float(logits[id] - normalizer)) for id in likeliest
        )
        return float(logits[token] - normalizer), tops
