"""OpenVINO's exponentials beside numpy's."""

from __future__ import annotations

import numpy as np
import pytest

exponentials = pytest.importorskip("saker.engine.paged.exponentials")


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("size", [3, 300, 50257])
def test_they_are_those_of_numpy_relative_to_the_largest(size: int, rows: int) -> None:
    logits = (np.random.default_rng(2).standard_normal((rows, size)) * 6).astype(np.float32)
    factors = np.array([1, 0.5, 2, 10, 0.01][:rows], np.float32)
    expected = np.exp((logits.astype(np.float64) - logits.max(axis=1, keepdims=True)) * factors[:, None])

    assert expected == pytest.approx(exponentials.Exponentials(size).of(logits, factors), rel=1e-4, abs=1e-30)


def test_forbidden_tokens_have_no_mass() -> None:
    logits = np.array([[-np.inf, 2.0, -np.inf, 1.0]], np.float32)

    assert [0.0, 1.0, 0.0] == exponentials.Exponentials(4).of(logits, np.ones(1, np.float32))[0, :3].tolist()


def test_rows_may_come_and_go() -> None:
    model = exponentials.Exponentials(4)
    for rows in (1, 7, 2):
        assert (rows, 4) == model.of(np.zeros((rows, 4), np.float32), np.ones(rows, np.float32)).shape
