"""Draws among few tokens, the k likeliest of each row, for all rows at once.

Shapes: R rows, V vocabulary, C candidates: the k likeliest and a few more, in order of their ids.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from saker.engine.messages import Sampling

Array = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

FOLD = 64
"""Of so many tokens the largest logit is looked at first."""
LOWEST = np.finfo(np.float32).min
"""Forbidden tokens lie below."""


def draw_few(logits: Array, samplings: Sequence[Sampling], shares: Doubles) -> list[int]:
    """One token of each row, among the `top_k` likeliest and those as likely as the last of them.

    Args:
        logits: Shape [R, V].
        samplings: Each with a `top_k` from 1 to V.
        shares: Shape [R], evenly distributed in [0, 1).
    """
    counts = np.array([sampling.top_k for sampling in samplings])
    ids, found = candidates(logits, int(counts.max()))
    order = np.argsort(-found, axis=1, kind="stable")
    rows = np.arange(len(found))
    found = found[rows[:, None], order]  # take_along_axis takes five times as long
    factors = np.array([1 / sampling.temperature for sampling in samplings], np.float32)
    masses = np.exp((found - found[:, :1]) * factors[:, None])
    masses *= found >= found[rows, np.minimum(counts, found.shape[1]) - 1, None]
    _filter(masses, found, samplings)
    ends = masses.cumsum(axis=1, dtype=np.float64)
    whole = ends[:, -1:]
    places = np.minimum((ends <= whole * shares[:, None]).sum(axis=1), (ends < whole).sum(axis=1))
    drawn: list[int] = ids[rows, order[rows, places]].tolist()
    return drawn


def candidates(logits: Array, k: int) -> tuple[Ids, Array]:
    """Few tokens of each row with the k likeliest among them: ids and logits of shape [R, C]; -inf fills rows up."""
    size = logits.shape[1]
    k = min(k, size)
    # Each column's largest is one logit, so the k-th largest of them is reached by k logits.
    columns = min(max(size // FOLD, 4 * k), size)
    folded = logits[:, : size // columns * columns].reshape(len(logits), -1, columns).max(axis=1)
    floors = np.partition(folded, columns - k, axis=1)[:, columns - k]
    flat = np.flatnonzero(logits >= np.maximum(floors, LOWEST)[:, None])
    if len(logits) == 1:
        return flat[None], logits[:, flat]
    rows, ids = np.divmod(flat, size)
    counts = np.bincount(rows, minlength=len(logits))
    places = np.arange(len(flat)) - (np.cumsum(counts) - counts)[rows]
    ids_RC = np.zeros((len(logits), max(int(counts.max()), 1)), np.int64)
    found_RC = np.full(ids_RC.shape, -np.inf, np.float32)
    ids_RC[rows, places] = ids
    found_RC[rows, places] = logits[rows, ids]
    return ids_RC, found_RC


def _filter(masses: Array, found: Array, samplings: Sequence[Sampling]) -> None:
    """Remove what `top_p`, `min_p` and `typical_p` forbid, in this order, where a row asks for one.

    Args:
        masses: Shape [R, C], the largest first.
        found: Their logits.
    """
    top = [sampling.top_p for sampling in samplings]
    if min(top) < 1:
        masses *= _is_first(masses, top)
    least = [sampling.min_p for sampling in samplings]
    if max(least) > 0:
        masses *= masses >= np.array(least, np.float32)[:, None]  # the likeliest token's mass is 1
    typical = [sampling.typical_p for sampling in samplings]
    if min(typical) < 1:
        known = np.where(masses > 0, found, 0)
        levels = (masses * known).sum(axis=1) / masses.sum(axis=1)
        order = np.argsort(np.abs(known - levels[:, None]), axis=1, kind="stable")
        rows = np.arange(len(order))[:, None]
        masses[rows, order] *= _is_first(masses[rows, order], typical)


def _is_first(masses: Array, shares: Sequence[float]) -> npt.NDArray[np.bool_]:
    """Whether the mass before a token is below a share of its row's."""
    ends = masses.cumsum(axis=1, dtype=np.float64)
    limits = [share * whole if share < 1 else math.inf for share, whole in zip(shares, ends[:, -1], strict=True)]
    kept: npt.NDArray[np.bool_] = ends - masses < np.array(limits)[:, None]
    return kept
