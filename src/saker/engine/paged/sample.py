"""Draws tokens from logits, exactly and for many rows at once.

Sorting a vocabulary costs more than all else, so none is sorted on the way. To draw from the smallest set of likeliest
tokens whose mass reaches p, draw from all tokens and keep the draw if the mass ranked before it is below p: that is
membership in the set, and rejecting the others leaves the set's own distribution. The same holds for every ranking, so
locally typical sampling goes the same way. On average 1/p draws are enough; where they are not, the row is sorted.

Shapes: B rows, V vocabulary, R rows of one group, K blocks of one row, W tokens of one block.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saker.engine.messages import Sampling
from saker.engine.paged.exponentials import Exponentials
from saker.engine.paged.few import LOWEST, draw_few
from saker.engine.paged.logits import Change, Form

Array = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

MOST_ROWS = 64
"""That are worked on together, which bounds the memory that they take."""
BLOCK = 256
"""Tokens whose mass is summed first; a draw then looks into one block only."""
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
        self._exponentials = Exponentials(vocabulary_size, threads)

    def draw(self, logits: Array, choosers: Sequence[Chooser]) -> list[int]:
        """The next token of each row.

        Args:
            logits: Shape [B, V]; rows with changes are changed in place.
            choosers: One for each row.
        """
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
        for rows, draw in ((greedy, _draw_greedy), (few, _draw_few), (dense, self._draw_dense)):
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
        wholes = [_Totals(self._exponentials.of(group, factors[: len(group)])).wholes for group in groups]
        found: npt.NDArray[np.float64] = logits.max(axis=1) + np.log(np.concatenate(wholes))
        return found

    def _draw_dense(self, logits: Array, choosers: Sequence[Chooser]) -> list[int]:
        factors = np.array([1 / chooser.sampling.temperature for chooser in choosers], np.float32)
        masses = self._exponentials.of(logits, factors)
        totals = _Totals(masses)
        tokens = []
        for row, chooser in enumerate(choosers):
            ranking = _rank(logits[row], masses[row], totals, row, chooser.sampling)
            tokens.append(_draw_row(masses[row], totals, row, ranking, chooser.random))
        return tokens


def _draw_greedy(logits: Array, _: Sequence[Chooser]) -> list[int]:
    tokens: list[int] = logits.argmax(axis=1).tolist()
    return tokens


def _draw_few(logits: Array, choosers: Sequence[Chooser]) -> list[int]:
    shares = np.array([chooser.random.random() for chooser in choosers])
    return draw_few(logits, [chooser.sampling for chooser in choosers], shares)


@dataclass(slots=True)
class _Ranking:
    """Tokens beyond a mass are out."""

    keys: Array
    """Higher comes first."""
    limit: float
    """The mass, not normalized."""


class _Totals:
    """Sums by block, to find the token at a place of the cumulative mass without summing up a whole row."""

    def __init__(self, masses: Array) -> None:
        self._masses = masses
        whole_blocks = masses.shape[1] // BLOCK
        self._blocks_RKW = np.lib.stride_tricks.as_strided(
            masses, (len(masses), whole_blocks, BLOCK), (masses.strides[0], BLOCK * masses.itemsize, masses.itemsize)
        )
        self._tail = masses[:, whole_blocks * BLOCK :]
        """Behind the last whole block; possibly empty."""
        self._ends_RK = self._ends(slice(None))

    @property
    def wholes(self) -> npt.NDArray[np.float64]:
        """Each row's whole mass."""
        wholes: npt.NDArray[np.float64] = self._ends_RK[:, -1]
        return wholes

    def of(self, row: int) -> float:
        """The row's whole mass."""
        return float(self._ends_RK[row, -1])

    def sum_again(self, row: int) -> None:
        """Take note that masses of a row were removed."""
        self._ends_RK[row] = self._ends(slice(row, row + 1))

    def find(self, row: int, share: float) -> int:
        """The token at a share of the row's mass, in [0, 1)."""
        ends = self._ends_RK[row]
        target = share * ends[-1]
        block = min(int(ends.searchsorted(target, side="right")), len(ends) - 1)
        start = ends[block - 1] if block else 0.0
        inner = self._masses[row, block * BLOCK : (block + 1) * BLOCK].cumsum(dtype=np.float64)
        # The block's sum was rounded otherwise than its running sum.
        rest = (target - start) / (ends[block] - start) * inner[-1]
        return block * BLOCK + min(int(inner.searchsorted(rest, side="right")), int(inner.searchsorted(inner[-1])))

    def _ends(self, rows: slice) -> npt.NDArray[np.float64]:
        sums = np.einsum("rkw->rk", self._blocks_RKW[rows])  # a third as long as sum takes
        if self._tail.shape[1]:
            sums = np.concatenate([sums, self._tail[rows].sum(axis=1, keepdims=True)], axis=1)
        ends: npt.NDArray[np.float64] = sums.cumsum(axis=1, dtype=np.float64)
        return ends


def _rank(logits: Array, masses: Array, totals: _Totals, row: int, sampling: Sampling) -> _Ranking | None:
    """Remove what can be told before a draw, and say what is left to check when a token has been drawn."""
    limit = sampling.top_p * totals.of(row)
    if sampling.top_p < 1 and sampling.typical_p < 1:
        _cut(masses, _boundary(masses, masses, limit))
        totals.sum_again(row)
    if sampling.min_p > 0:
        _cut(masses, sampling.min_p)  # the likeliest token's mass is 1
        totals.sum_again(row)
    if sampling.typical_p < 1:
        keys = _typicality(logits, masses, totals.of(row))
        return _Ranking(keys, sampling.typical_p * totals.of(row))
    return _Ranking(masses, limit) if sampling.top_p < 1 else None


def _cut(masses: Array, floor: float) -> None:
    """Remove what is below the floor, in place."""
    masses *= masses >= np.float32(floor)


def _typicality(logits: Array, masses: Array, total: float) -> Array:
    """How close each token's information is to the expected one, 0 at best.

    Information falls with the logit, at one rate for all tokens, so that logits rank alike.

    Source: Meister et al.: Locally Typical Sampling. TACL 2023.
    """
    if logits.min() < LOWEST:  # forbidden tokens: their mass is 0, and minus infinity times 0 is no number
        logits = np.maximum(logits, LOWEST)
    keys: Array = logits - np.float32(float(masses @ logits) / total)
    np.abs(keys, out=keys)
    np.negative(keys, out=keys)
    return keys


def _draw_row(masses: Array, totals: _Totals, place: int, ranking: _Ranking | None, random: random.Random) -> int:
    if ranking is None:
        return totals.find(place, random.random())
    if ranking.keys is masses and ranking.limit <= 1:
        return _pick(masses, np.flatnonzero(masses == 1), random)  # the likeliest token alone has the mass
    for _ in range(TRIES):
        token = totals.find(place, random.random())
        if _mass_before(masses, ranking, token) < ranking.limit:
            return token
    kept = np.flatnonzero(ranking.keys >= _boundary(masses, ranking.keys, ranking.limit))
    return _pick(masses, kept, random)


def _pick(masses: Array, ids: Ids, random: random.Random) -> int:
    """One of these tokens, by their masses."""
    return int(ids[_find(masses[ids], random.random())])


def _mass_before(masses: Array, ranking: _Ranking, token: int) -> float:
    return float(masses @ (ranking.keys > ranking.keys[token]))  # faster than to pick out the masses


def _boundary(masses: Array, keys: Array, limit: float) -> float:
    """The lowest key among the first tokens whose mass reaches the limit."""
    if keys is masses:  # to sort numbers takes a tenth of the time that it takes to sort places
        ordered = ordered_keys = np.sort(masses)[::-1]
    else:
        order = np.argsort(-keys)
        ordered, ordered_keys = masses[order], keys[order]
    ends = np.cumsum(ordered, dtype=np.float64)
    return float(ordered_keys[min(int(ends.searchsorted(limit)), len(ends) - 1)])


def _find(masses: Array, share: float) -> int:
    ends = np.cumsum(masses, dtype=np.float64)
    return min(int(ends.searchsorted(share * ends[-1], side="right")), int(ends.searchsorted(ends[-1])))
