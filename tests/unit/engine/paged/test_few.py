"""Picks out the likeliest tokens."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from saker.engine.messages import Sampling
from saker.engine.paged.few import candidates, draw_few

Logits = npt.NDArray[np.float32]


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 3000)), elements=st.floats(-4, 4, width=16)),
    st.integers(1, 50),
)
def test_the_likeliest_and_their_equals_are_among_the_candidates(logits: Logits, k: int) -> None:
    ids, found = candidates(logits, k)

    for row, chosen, values in zip(logits, ids, found, strict=True):
        is_one = np.isfinite(values)
        wanted = np.flatnonzero(row >= np.sort(row)[-min(k, len(row))])

        assert set(wanted) <= set(chosen[is_one])
        assert (row[chosen[is_one]] == values[is_one]).all()
        assert sorted(set(chosen[is_one])) == chosen[is_one].tolist()


def test_there_are_few_candidates() -> None:
    logits = np.random.default_rng(3).standard_normal((8, 32000)).astype(np.float32)

    assert candidates(logits, 50)[0].shape[1] < 100


def test_forbidden_tokens_are_no_candidates() -> None:
    logits = np.full((2, 5000), -np.inf, np.float32)
    logits[0, [7, 4000]] = 1.0
    logits[1, 9] = -3.0
    ids, found = candidates(logits, 40)

    assert [[7, 4000], [9, 0]] == ids.tolist()
    assert [[1.0, 1.0], [-3.0, -np.inf]] == found.tolist()


def test_each_row_has_its_own_limits() -> None:
    logits = np.tile(np.arange(6, dtype=np.float32)[::-1], (4, 1))
    ways = [
        Sampling(temperature=1.0, top_k=1),
        Sampling(temperature=1.0, top_k=2),
        Sampling(temperature=1.0, top_k=5, top_p=0.8),
        Sampling(temperature=1.0, top_k=6),
    ]
    last = draw_few(logits, ways, np.full(4, 0.999999))

    assert [0, 1, 1, 5] == last
    assert [0, 0, 0, 0] == draw_few(logits, ways, np.zeros(4))
