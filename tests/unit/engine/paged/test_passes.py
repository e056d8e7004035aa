"""What OpenVINO computes beside numpy."""

from __future__ import annotations

import numpy as np
import pytest

passes = pytest.importorskip("saker.engine.paged.passes")


@pytest.mark.parametrize("rows", [1, 5, 20])
@pytest.mark.parametrize("size", [3, 300, 50257])
def test_exponentials_are_those_of_numpy_relative_to_the_largest(size: int, rows: int) -> None:
    logits = (np.random.default_rng(2).standard_normal((rows, size)) * 6).astype(np.float32)
    factors = np.resize([1, 0.5, 2, 10, 0.01], rows).astype(np.float32)
    expected = np.exp((logits.astype(np.float64) - logits.max(axis=1, keepdims=True)) * factors[:, None])

    assert expected == pytest.approx(passes.Passes(size).exponentials(logits, factors), rel=1e-4, abs=1e-30)


def test_forbidden_tokens_have_no_mass() -> None:
    logits = np.array([[-np.inf, 2.0, -np.inf, 1.0]], np.float32)

    assert [0.0, 1.0, 0.0] == passes.Passes(4).exponentials(logits, np.ones(1, np.float32))[0, :3].tolist()


def test_rows_may_come_and_go() -> None:
    model = passes.Passes(4)
    for rows in (1, 17, 2, 40):
        assert (rows, 4) == model.exponentials(np.zeros((rows, 4), np.float32), np.ones(rows, np.float32)).shape


@pytest.mark.parametrize("rows", [1, 5, 20])
@pytest.mark.parametrize("size", [3, 300, 50257])
def test_the_mass_nearer_to_a_level_than_a_token_is_without_the_token(size: int, rows: int) -> None:
    numbers = np.random.default_rng(4)
    logits = numbers.standard_normal((rows, size)).astype(np.float32)
    masses = numbers.random((rows, size), np.float32)
    levels = np.resize([0.3, -1, 2, 0, 5], rows).astype(np.float32)
    distances = np.abs(logits[:, 1] - levels)
    expected = [
        masses[row][np.abs(logits[row] - levels[row]) < distances[row]].sum(dtype=np.float64) for row in range(rows)
    ]

    assert expected == pytest.approx(passes.Passes(size).nearer(logits, masses, levels, distances), rel=1e-4, abs=1e-6)


def test_forbidden_tokens_are_nearer_to_nothing() -> None:
    logits = np.array([[-np.inf, 1.0, 0.5, -np.inf]] * 3, np.float32)
    found = passes.Passes(4).nearer(
        logits, np.ones((3, 4), np.float32), np.ones(3, np.float32), np.full(3, 0.6, np.float32)
    )

    assert [2.0, 2.0, 2.0] == found.tolist()
