"""Draws tokens from logits, exactly and for many rows at once.

Sorting a vocabulary costs more than all else, so none is sorted on the way. To draw from the smallest set of likeliest
tokens whose mass reaches p, draw from all tokens and keep the draw if the mass ranked before it is below p: that is
membership in the set, and rejecting the others leaves the set's own distribution. The same holds for every ranking, so
locally typical sampling goes the same way. On average 1/p draws are enough; where they are not, the row is sorted.

Rows are worked on in groups that stay in the processor's cache, in buffers that are made once: fresh memory for each
step would cost as much as the arithmetic.

Shapes: B rows, V vocabulary, R rows of one group, K blocks of one row, W tokens of one block.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saker.engine.messages import Sampling
from saker.engine.paged.logits import Change, Form

Array = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

GROUP_NUMBERS = 1 << 16
"""How many logits are worked on together: 256 KiB."""
BLOCK = 256
"""Tokens whose mass is summed first; a draw then looks into one block only."""
TRIES = 8
"""Draws before a row is sorted."""
SMALL_K = 1024
"""Up to so many tokens are picked out and sorted."""
LOWEST = np.float32(-1e4)
"""For logits that are minus infinity, where they are added up; the mass of such tokens is 0 all the same."""


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

    def __init__(self, vocabulary_size: int) -> None:
        self._size = vocabulary_size
        self._blocks = -(-vocabulary_size // BLOCK)
        self._group = max(GROUP_NUMBERS // vocabulary_size, 1)
        self._logits = np.zeros((self._group, vocabulary_size), np.float32)
        # The tail behind the vocabulary stays 0.
        self._masses = np.zeros((self._group, self._blocks * BLOCK), np.float32)

    def draw(self, logits: Array, choosers: Sequence[Chooser]) -> list[int]:
        """The next token of each row.

        Args:
            logits: Shape [B, V]; rows with changes are changed in place.
            choosers: One for each row.
        """
        for row, chooser in enumerate(choosers):
            for change in chooser.changes:
                change.apply(logits[row])
        drawn = [row for row, chooser in enumerate(choosers) if not chooser.is_greedy]
        if not drawn:
            return [int(token) for token in logits.argmax(axis=1)]
        tokens = [0] * len(choosers)
        greedy = [row for row, chooser in enumerate(choosers) if chooser.is_greedy]
        for row in greedy:
            tokens[row] = int(logits[row].argmax())
        dense = []
        for row in drawn:
            if 0 < choosers[row].sampling.top_k < min(SMALL_K, self._size):
                tokens[row] = _draw_top_k(logits[row], choosers[row])
            else:
                dense.append(row)
        for start in range(0, len(dense), self._group):
            rows = dense[start : start + self._group]
            for row, token in zip(rows, self._draw_group(logits, rows, choosers), strict=True):
                tokens[row] = token
        return tokens

    def _draw_group(self, logits: Array, rows: list[int], choosers: Sequence[Chooser]) -> list[int]:
        scaled_RV = self._logits[: len(rows)]
        masses = self._masses[: len(rows)]
        masses_RV = masses[:, : self._size]
        logits_RV = logits[rows[0] : rows[-1] + 1] if rows[-1] - rows[0] < len(rows) else logits[rows]
        np.subtract(logits_RV, logits_RV.max(axis=1, keepdims=True), out=scaled_RV)
        scaled_RV *= np.array([[1 / choosers[row].sampling.temperature] for row in rows], np.float32)
        np.exp(scaled_RV, out=masses_RV)
        totals = _Totals(masses)
        tokens = []
        for place, row in enumerate(rows):
            sampling = choosers[row].sampling
            ranking = _rank(scaled_RV[place], masses_RV[place], totals.of(place), sampling)
            if sampling.min_p > 0 or sampling.typical_p < 1:
                totals.sum_again(place)
            tokens.append(_draw_row(masses_RV[place], totals, place, ranking, choosers[row].random))
        return tokens


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
        self._masses_RKW = masses.reshape(len(masses), -1, BLOCK)
        # einsum adds up a third as long as sum does.
        self._ends_RK = np.cumsum(np.einsum("rkw->rk", self._masses_RKW), axis=1, dtype=np.float64)

    def of(self, row: int) -> float:
        """The row's whole mass."""
        return float(self._ends_RK[row, -1])

    def sum_again(self, row: int) -> None:
        """Take note that masses of a row were removed."""
        self._ends_RK[row] = np.cumsum(np.einsum("kw->k", self._masses_RKW[row]), dtype=np.float64)

    def find(self, row: int, share: float) -> int:
        """The token at a share of the row's mass, in [0, 1)."""
        ends = self._ends_RK[row]
        target = share * ends[-1]
        block = min(int(ends.searchsorted(target, side="right")), len(ends) - 1)
        start = ends[block - 1] if block else 0.0
        inner = self._masses_RKW[row, block].cumsum(dtype=np.float64)
        # The block's sum was rounded otherwise than its running sum.
        rest = (target - start) / (ends[block] - start) * inner[-1]
        return block * BLOCK + min(int(inner.searchsorted(rest, side="right")), int(inner.searchsorted(inner[-1])))


def _rank(scaled: Array, masses: Array, total: float, sampling: Sampling) -> _Ranking | None:
    """Remove what `min_p` forbids, and say what is left to check when a token has been drawn."""
    ranking = None
    if sampling.top_p < 1:
        ranking = _Ranking(masses, sampling.top_p * total)
    if sampling.typical_p < 1:
        if ranking is not None:
            _cut(masses, _boundary(masses, masses, ranking.limit))
        _apply_min_p(masses, sampling)
        keys, total = _typicality(scaled, masses)
        return _Ranking(keys, sampling.typical_p * total)
    if ranking is not None and sampling.min_p > 0:
        ranking.keys = masses.copy()
    _apply_min_p(masses, sampling)
    return ranking


def _apply_min_p(masses: Array, sampling: Sampling) -> None:
    if sampling.min_p > 0:
        _cut(masses, sampling.min_p)  # the likeliest token's mass is 1


def _cut(masses: Array, floor: float) -> None:
    """Remove what is below the floor, in place."""
    masses *= masses >= np.float32(floor)


def _typicality(scaled: Array, masses: Array) -> tuple[Array, float]:
    """How close each token's information is to the expected one, 0 at best; and the whole mass. Overwrites `scaled`.

    Source: Meister et al.: Locally Typical Sampling. TACL 2023.
    """
    total = float(np.einsum("v->", masses))
    if scaled.min() < LOWEST:  # looking is much faster than changing
        np.maximum(scaled, LOWEST, out=scaled)
    scaled -= np.float32(float(masses @ scaled) / total)
    np.abs(scaled, out=scaled)
    return np.negative(scaled, out=scaled), total


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


def _draw_top_k(logits: Array, chooser: Chooser) -> int:
    """Draw from the k likeliest tokens, and those as likely as the last of them."""
    sampling = chooser.sampling
    ids = top(logits, sampling.top_k)
    scaled = (logits[ids] - logits[ids[0]]) * np.float32(1 / sampling.temperature)
    masses = np.exp(scaled)
    if sampling.top_p < 1:
        _cut(masses, _boundary(masses, masses, sampling.top_p * float(masses.sum())))
    _apply_min_p(masses, sampling)
    if sampling.typical_p < 1:
        keys, total = _typicality(scaled, masses)
        masses[keys < _boundary(masses, keys, sampling.typical_p * total)] = 0
    return int(ids[_find(masses, chooser.random.random())])


def top(logits: Array, k: int) -> Ids:
    """The ids of the k largest logits and of all that equal the last of them, the largest first."""
    floor = max(_floor(logits, k), np.finfo(np.float32).min)  # of forbidden tokens there may be very many
    ids = np.flatnonzero(logits >= floor)
    found = logits[ids]
    order = np.argsort(-found, kind="stable")
    ids, found = ids[order], found[order]
    kept: Ids = ids[found >= found[min(k, len(found)) - 1]]
    return kept


def _floor(logits: Array, k: int) -> np.float32:
    """A number that at least k logits reach, and not many more."""
    k = min(k, len(logits))
    # Each column's largest is one logit, so the k-th largest of them is reached by k logits.
    columns = max(len(logits) // 64, 4 * k)
    if columns * 2 > len(logits):
        return np.float32(np.partition(logits, len(logits) - k)[len(logits) - k])
    folded = logits[: len(logits) // columns * columns].reshape(-1, columns).max(axis=0)
    return np.float32(np.partition(folded, columns - k)[columns - k])


def log_normalizer(logits: Array) -> float:
    """What to subtract from one row's logits to get log probabilities."""
    largest = logits.max()
    return float(largest) + math.log(float(np.einsum("v->", np.exp(logits - largest))))
