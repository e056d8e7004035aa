"""Draws tokens from logits, exactly and for many rows at once.

Sorting a vocabulary costs more than all else, so none is sorted on the way. To draw from the smallest set of likeliest
tokens whose mass reaches p, draw from all tokens and keep the draw if the mass ranked before it is below p: that is
membership in the set, and rejecting the others leaves the set's own distribution. The same holds for every ranking, so
locally typical sampling goes the same way. On average 1/p draws are enough; where they are not, the row is sorted.

Shapes: B rows, V vocabulary, R rows of one group, K blocks of one row, W tokens of one block.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saker.engine.messages import Sampling
from saker.engine.paged.few import LOWEST, draw_few
from saker.engine.paged.logits import Change, Form
from saker.engine.paged.passes import Passes, mass_nearer

Array = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

MOST_ROWS = 64
"""That are worked on together, which bounds the memory that they take."""
BLOCK_WIDTHS = (512, 32)
"""At most and at least so many tokens are summed first; a draw then looks into one block only."""
TRIES = 8
"""Draws before a row is sorted."""
SMALL_K = 1024
"""Up to so many tokens are picked out and sorted."""


@dataclass(slots=True)
class Chooser:
    """How one answer draws its tokens."""

    sampling: Sampling
    random: random.Random
    changes: Sequence[Change]
    form: Form | None = None
    """The one of the changes that knows when an answer is complete."""

    @property
    def is_over(self) -> bool:
        """Whether no further token can be drawn."""
        return self.form is not None and self.form.is_over

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest token is taken."""
        return self.sampling.temperature <= 0

    def take(self, token: int) -> None:
        """Take note of a token that the answer got."""
        for change in self.changes:
            change.take(token)


class Sampler:
    """Draws for one vocabulary."""

    def __init__(self, vocabulary_size: int, threads: int | None = None) -> None:
        self._size = vocabulary_size
        self._width = _block_width(vocabulary_size)
        self._passes = Passes(vocabulary_size, threads)

    def draw(self, logits: Array, choosers: Sequence[Chooser]) -> list[int]:
        """The next token of each row.

        Args:
            logits: Shape [B, V]; rows with changes are changed in place.
            choosers: One for each row.
        """
        draws: tuple[tuple[list[int], Callable[[Array, list[Chooser]], list[int]]], ...]
        greedy: list[int] = []
        few: list[int] = []
        dense: list[int] = []
        for row, chooser in enumerate(choosers):
            for change in chooser.changes:
                change.apply(logits[row])
            if chooser.is_greedy:
                greedy.append(row)
            else:
                (few if 0 < chooser.sampling.top_k < min(SMALL_K, self._size) else dense).append(row)
        tokens = [0] * len(choosers)
        draws = (greedy, _draw_greedy), (few, _draw_few), (dense, self._draw_dense)
        for rows, draw in draws:
            for start in range(0, len(rows), MOST_ROWS):
                group = rows[start : start + MOST_ROWS]
                # A copy only where the group's rows do not follow each other.
                chosen = logits[group[0] : group[-1] + 1] if group[-1] - group[0] < len(group) else logits[group]
                drawn = draw(chosen, [choosers[row] for row in group])
                for row, token in zip(group, drawn, strict=True):
                    tokens[row] = token
        return tokens

    def normalizers(self, logits: Array) -> npt.NDArray[np.float64]:
        """What to subtract from each row's logits to get log probabilities."""
        groups = [logits[start : start + MOST_ROWS] for start in range(0, len(logits), MOST_ROWS)]
        factors = np.ones(MOST_ROWS, np.float32)
        wholes = [
            _Totals(self._passes.exponentials(group, factors[: len(group)]), self._width).wholes for group in groups
        ]
        found: npt.NDArray[np.float64] = logits.max(axis=1) + np.log(np.concatenate(wholes))
        return found

    def _draw_dense(self, logits: Array, choosers: list[Chooser]) -> list[int]:
        factors = np.array([1 / chooser.sampling.temperature for chooser in choosers], np.float32)
        masses = self._passes.exponentials(logits, factors)
        totals = _Totals(masses, self._width)
        rankings = [_rank(logits[row], masses[row], totals, row, each.sampling) for row, each in enumerate(choosers)]
        levels = np.array([ranking.level for ranking in rankings], np.float32)
        limits = np.array([ranking.limit for ranking in rankings])
        tokens = totals.find(np.arange(len(choosers)), np.array([each.random.random() for each in choosers]))
        if not np.isinf(limits).all():
            distances = np.abs(logits[np.arange(len(tokens)), tokens] - levels)
            before = self._passes.nearer(logits, masses, levels, distances)
            for row in np.flatnonzero(before >= limits):
                tokens[row] = _draw_again(logits[row], totals, int(row), rankings[row], choosers[row].random)
        drawn: list[int] = tokens.tolist()
        return drawn


def _block_width(size: int) -> int:
    """The widest that divides the vocabulary; all of it where none does."""
    most, least = BLOCK_WIDTHS
    return next((width for width in range(most, least - 1, -1) if size % width == 0), size)


def _draw_greedy(logits: Array, _: list[Chooser]) -> list[int]:
    tokens: list[int] = logits.argmax(axis=1).tolist()
    return tokens


def _draw_few(logits: Array, choosers: list[Chooser]) -> list[int]:
    shares = np.array([chooser.random.random() for chooser in choosers])
    return draw_few(logits, [chooser.sampling for chooser in choosers], shares)


@dataclass(slots=True)
class _Ranking:
    """An order of a row's tokens, and the mass beyond which they are out."""

    level: float
    """Tokens come in the order of their logits' distances from here."""
    limit: float
    """The mass, not normalized; infinite where none is out."""


class _Totals:
    """Sums by block, to find the token at a place of the cumulative mass without summing up a whole row."""

    def __init__(self, masses: Array, width: int) -> None:
        """
        Args:
            width: Of a block; divides V.
        """
        self._masses_RKW = masses.reshape(len(masses), -1, width)
        self._ends_RK = self._ends(slice(None))

    @property
    def wholes(self) -> npt.NDArray[np.float64]:
        """Each row's whole mass."""
        wholes: npt.NDArray[np.float64] = self._ends_RK[:, -1]
        return wholes

    def masses(self, row: int) -> Array:
        """The row's masses, shape [V]."""
        masses: Array = self._masses_RKW[row].reshape(-1)
        return masses

    def of(self, row: int) -> float:
        """The row's whole mass."""
        return float(self._ends_RK[row, -1])

    def sum_again(self, row: int) -> None:
        """Take note that masses of a row were removed."""
        self._ends_RK[row] = self._ends(slice(row, row + 1))

    def find(self, rows: Ids, shares: npt.NDArray[np.float64]) -> Ids:
        """For each row the token at a share of its mass, in [0, 1)."""
        ends = self._ends_RK[rows]
        targets = shares * ends[:, -1]
        places = np.arange(len(rows))
        blocks = np.minimum((ends <= targets[:, None]).sum(axis=1), ends.shape[1] - 1)
        starts = np.where(blocks > 0, ends[places, blocks - 1], 0)
        inner = self._masses_RKW[rows, blocks].cumsum(axis=1, dtype=np.float64)
        wholes = inner[:, -1:]
        # The block's sum was rounded otherwise than its running sum.
        rests = (targets - starts) / (ends[places, blocks] - starts) * wholes[:, 0]
        inside = np.minimum((inner <= rests[:, None]).sum(axis=1), (inner < wholes).sum(axis=1))
        found: Ids = blocks * self._masses_RKW.shape[2] + inside
        return found

    def _ends(self, rows: slice) -> npt.NDArray[np.float64]:
        sums = np.einsum("rkw->rk", self._masses_RKW[rows])  # a third as long as sum takes
        ends: npt.NDArray[np.float64] = sums.cumsum(axis=1, dtype=np.float64)
        return ends


def _rank(logits: Array, masses: Array, totals: _Totals, row: int, sampling: Sampling) -> _Ranking:
    """Remove what can be told before a draw, and say what is left to check when a token has been drawn."""
    ranking = _Ranking(0.0, math.inf)
    if sampling.top_p < 1:
        ranking = _Ranking(float(logits.max()), sampling.top_p * totals.of(row))
    if sampling.top_p < 1 and sampling.typical_p < 1:
        masses *= _is_kept(logits, masses, ranking)
        totals.sum_again(row)
    if sampling.min_p > 0:
        masses *= masses >= np.float32(sampling.min_p)  # the likeliest token's mass is 1
        totals.sum_again(row)
    if sampling.typical_p < 1:
        ranking = _Ranking(_expected(logits, masses, totals.of(row)), sampling.typical_p * totals.of(row))
    return ranking


def _expected(logits: Array, masses: Array, total: float) -> float:
    """The logit of a token whose information is the expected one: information falls with the logit, at one rate.

    Source: Meister et al.: Locally Typical Sampling. TACL 2023.
    """
    if logits.min() < LOWEST:  # forbidden tokens: their mass is 0, and minus infinity times 0 is no number
        logits = np.maximum(logits, LOWEST)
    return float(masses @ logits) / total


def _draw_again(logits: Array, totals: _Totals, row: int, ranking: _Ranking, random: random.Random) -> int:
    """Draw until the mass ranked before a token is below the limit; the first token drawn was out."""
    masses = totals.masses(row)
    for _ in range(TRIES):
        token = int(totals.find(np.array([row]), np.array([random.random()]))[0])
        level = np.float32(ranking.level)
        if mass_nearer(logits, masses, level, np.abs(logits[token] - level)) < ranking.limit:
            return token
    ids = np.flatnonzero(_is_kept(logits, masses, ranking))
    ends = np.cumsum(masses[ids], dtype=np.float64)
    place = min(int(ends.searchsorted(random.random() * ends[-1], side="right")), int(ends.searchsorted(ends[-1])))
    return int(ids[place])


def _is_kept(logits: Array, masses: Array, ranking: _Ranking) -> npt.NDArray[np.bool_]:
    """Whether a token is among the first whose mass reaches the limit; so are those that rank as the last of them."""
    distances = np.abs(logits - np.float32(ranking.level))
    order = np.argsort(distances)
    ends = np.cumsum(masses[order], dtype=np.float64)
    last = order[min(int(ends.searchsorted(ranking.limit)), len(ends) - 1)]
    kept: npt.NDArray[np.bool_] = distances <= distances[last]
    return kept
