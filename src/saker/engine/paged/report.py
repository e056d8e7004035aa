"""Log probabilities of drawn tokens and of the likeliest ones, for the answers that ask for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from saker.engine.messages import PromptToken, Token
from saker.engine.paged.few import candidates
from saker.engine.paged.generation import Generation
from saker.engine.paged.sample import Sampler
from saker.engine.text import Tokenizer

Logits = npt.NDArray[np.float32]


class Logprobs:
    """Says how likely the model, before any change of its logits, found what was drawn."""

    def __init__(self, tokenizer: Tokenizer, sampler: Sampler) -> None:
        self._tokenizer = tokenizer
        self._sampler = sampler
        self._texts: dict[int, str] = {}
        """Of tokens that were among the likeliest, each alone."""

    def note(self, logits: Logits, generations: Sequence[Generation]) -> Noted | None:
        """Keep what is asked for, before a draw changes the logits; None where nothing is."""
        places = [place for place, generation in enumerate(generations) if generation.wants_logprobs]
        if not places:
            return None
        stays = len(places) == len(generations) and not any(each.chooser.changes for each in generations)
        rows = logits if stays else logits[places]
        normalizers = self._sampler.normalizers(rows)
        tops = self._tops(rows, normalizers, [generations[place].request.top_logprobs for place in places])
        return Noted({place: row for row, place in enumerate(places)}, rows, normalizers, tops)

    def _tops(
        self, rows: Logits, normalizers: npt.NDArray[np.float64], counts: Sequence[int]
    ) -> list[tuple[Token, ...]]:
        """The likeliest tokens of each row, as many as it asks for."""
        most = max(counts)
        if not most:
            return [()] * len(rows)
        ids, found = candidates(rows, most)
        order = np.argsort(-found, axis=1, kind="stable")[:, :most]
        ids = np.take_along_axis(ids, order, axis=1)
        logprobs = np.take_along_axis(found, order, axis=1) - normalizers[:, None]
        return [
            tuple(Token(id, self._text(id), logprob) for id, logprob in zip(row[:count], values, strict=False))
            for row, values, count in zip(ids.tolist(), logprobs.tolist(), counts, strict=True)
        ]

    def of_tokens(self, logits: Logits, tokens: Sequence[int]) -> list[float]:
        """The log probability of a token for each row."""
        logprobs: list[float] = (logits[np.arange(len(tokens)), tokens] - self._sampler.normalizers(logits)).tolist()
        return logprobs

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
    """What was kept of one step."""

    def __init__(
        self,
        places: dict[int, int],
        rows: Logits,
        normalizers: npt.NDArray[np.float64],
        tops: list[tuple[Token, ...]],
    ) -> None:
        self._places = places
        self._rows = rows
        self._normalizers = normalizers
        self._tops = tops

    def of(self, place: int, token: int) -> tuple[float | None, tuple[Token, ...]]:
        """The log probability of the token drawn at a place, and the likeliest tokens there; None, () if not asked."""
        row = self._places.get(place)
        if row is None:
            return None, ()
        return float(self._rows[row, token] - self._normalizers[row]), self._tops[row]
