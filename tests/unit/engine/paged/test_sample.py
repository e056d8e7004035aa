"""Draws have the distribution of a plain reference in float64, and cost no sort."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from saker.engine.messages import Sampling
from saker.engine.paged.sample import MOST_ROWS, Chooser, Sampler

Logits = npt.NDArray[np.float32]

DRAWS = 8_000
CHI_SQUARE_QUANTILE = 3.7
"""Standard deviations: one draw in ten thousand lies above."""

CASES = [
    Sampling(temperature=1.0),
    Sampling(temperature=0.5),
    Sampling(temperature=3.0),
    Sampling(temperature=1.0, top_k=20),
    Sampling(temperature=1.0, top_p=0.9),
    Sampling(temperature=1.0, top_p=0.3),
    Sampling(temperature=1.0, top_p=0.02),
    Sampling(temperature=1.0, min_p=0.05),
    Sampling(temperature=1.0, top_p=0.9, min_p=0.05),
    Sampling(temperature=1.0, typical_p=0.9),
    Sampling(temperature=1.0, typical_p=0.2),
    Sampling(temperature=1.0, typical_p=0.9, min_p=0.02),
    Sampling(temperature=1.0, top_p=0.9, typical_p=0.8),
    Sampling(temperature=1.5, top_k=100, top_p=0.8),
    Sampling(temperature=0.8, top_k=200, top_p=0.95, min_p=0.01, typical_p=0.7),
]


def name(sampling: Sampling) -> str:
    return " ".join(f"{key}={value}" for key, value in msgspec.structs.asdict(sampling).items() if value)


def reference(logits: Logits, sampling: Sampling) -> npt.NDArray[np.float64]:
    """The probabilities, filter after filter in transformers' order, each by a full sort."""
    scaled = logits.astype(np.float64) / sampling.temperature
    if sampling.top_k:
        scaled[scaled < np.sort(scaled)[-sampling.top_k]] = -np.inf
    if sampling.top_p < 1:
        shares = softmax(scaled)
        scaled = keep_first(scaled, -shares, sampling.top_p)
    if sampling.min_p:
        shares = softmax(scaled)
        scaled[shares < sampling.min_p * shares.max()] = -np.inf
    if sampling.typical_p < 1:
        shares = softmax(scaled)
        with np.errstate(divide="ignore"):
            information = -np.log(shares)
        entropy = (shares * np.where(shares > 0, information, 0)).sum()
        scaled = keep_first(scaled, np.abs(information - entropy), sampling.typical_p)
    return softmax(scaled)


def softmax(scaled: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    masses = np.exp(scaled - scaled.max())
    shares: npt.NDArray[np.float64] = masses / masses.sum()
    return shares


def keep_first(scaled: npt.NDArray[np.float64], keys: npt.NDArray[np.float64], mass: float) -> npt.NDArray[np.float64]:
    """Keep the tokens of the lowest keys until their mass reaches the given one."""
    order = np.argsort(keys, kind="stable")
    count = int(np.searchsorted(np.cumsum(softmax(scaled)[order]), mass)) + 1
    kept = np.full_like(scaled, -np.inf)
    kept[order[:count]] = scaled[order[:count]]
    return kept


def chooser(sampling: Sampling, seed: int = 0) -> Chooser:
    return Chooser(sampling, random.Random(seed), [])


@pytest.mark.parametrize("size", [300, 1500])
@pytest.mark.parametrize("sampling", CASES, ids=name)
def test_draws_follow_the_reference(sampling: Sampling, size: int) -> None:
    logits = (np.random.default_rng(5).standard_normal(size) * 2).astype(np.float32)
    expected = reference(logits, sampling) * DRAWS
    sampler = Sampler(size)
    choosers = [chooser(sampling, seed) for seed in range(100)]
    counts = np.zeros(size)
    for _ in range(DRAWS // len(choosers)):
        np.add.at(counts, sampler.draw(np.repeat(logits[None], len(choosers), 0), choosers), 1)

    assert 0 == counts[expected == 0].sum(), "a token outside the set was drawn"
    common = expected >= 5
    rare_expected, rare_count = expected[~common].sum(), counts[~common].sum()
    cells = np.append((counts - expected)[common] ** 2 / expected[common], 0)
    if rare_expected >= 5:
        cells[-1] = (rare_count - rare_expected) ** 2 / rare_expected
    freedom = max(len(cells) - 1, 1)
    assert (cells.sum() - freedom) / np.sqrt(2 * freedom) < CHI_SQUARE_QUANTILE


def test_without_temperature_the_likeliest_is_taken() -> None:
    logits = np.random.default_rng(1).standard_normal((4, 100)).astype(np.float32)

    assert logits.argmax(1).tolist() == Sampler(100).draw(logits, [chooser(Sampling())] * 4)


def test_each_row_is_drawn_its_own_way() -> None:
    logits = np.random.default_rng(1).standard_normal((len(CASES) + 1, 300)).astype(np.float32)
    rows = [chooser(sampling, 7) for sampling in CASES] + [chooser(Sampling())]
    together = Sampler(300).draw(logits.copy(), rows)
    alone = [
        Sampler(300).draw(logits[place : place + 1].copy(), [chooser(row.sampling, 7)])[0]
        for place, row in enumerate(rows)
    ]

    assert alone == together


@pytest.mark.parametrize("sampling", CASES, ids=name)
def test_masked_tokens_are_never_drawn(sampling: Sampling) -> None:
    logits = np.full((1, 1000), -np.inf, np.float32)
    logits[0, [3, 700]] = [0.5, 0.0]
    row = chooser(sampling)

    assert {3, 700} >= {Sampler(1000).draw(logits.copy(), [row])[0] for _ in range(50)}


@settings(deadline=None, max_examples=60)  # each makes a sampler for its vocabulary
@given(
    arrays.arrays(np.float32, st.integers(1, 400), elements=st.floats(-50, 50, width=32)),
    st.sampled_from(CASES),
    st.integers(0, 1000),
)
def test_any_logits_give_a_token_of_the_vocabulary(logits: Logits, sampling: Sampling, seed: int) -> None:
    (token,) = Sampler(len(logits)).draw(logits[None].copy(), [chooser(sampling, seed)])

    assert 0 <= token < len(logits)


@pytest.mark.parametrize("size", [100, 256, 257, 1000])
def test_log_probabilities_sum_to_one(size: int) -> None:
    logits = np.random.default_rng(1).standard_normal((MOST_ROWS + 3, size)).astype(np.float32) * 10
    logprobs = logits - Sampler(size).normalizers(logits)[:, None]

    assert np.exp(logprobs).sum(axis=1) == pytest.approx(np.ones(len(logits)), abs=1e-4)


def test_more_rows_than_are_worked_on_together_are_all_drawn() -> None:
    logits = np.random.default_rng(1).standard_normal((2 * MOST_ROWS + 5, 300)).astype(np.float32)
    ways = [Sampling(temperature=1.0), Sampling(), Sampling(temperature=1.0, top_k=3)]
    rows = [ways[place // 50] for place in range(len(logits))]
    together = Sampler(300).draw(logits.copy(), [chooser(way, place) for place, way in enumerate(rows)])
    alone = [
        Sampler(300).draw(logits[place : place + 1].copy(), [chooser(rows[place], place)])[0]
        for place in (0, 49, 50, 99, 100, 132)
    ]

    assert [together[place] for place in (0, 49, 50, 99, 100, 132)] == alone
