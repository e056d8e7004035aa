"""The watermark's statistics: unmarked text does not look marked, and marked text does."""

from __future__ import annotations

import random

import numpy as np
import pytest

from saker.engine.messages import Sampling
from saker.engine.paged.sample import Chooser, Sampler
from saker.engine.paged.watermark import Watermark, detect

VOCABULARY = 2000


def generate(length: int, seed: int, delta: float, sigma: float = 2.0) -> list[int]:
    """Text of a model whose logits are normally distributed; without `delta` unmarked."""
    numbers = np.random.default_rng(seed)
    watermark = Watermark(VOCABULARY, delta=delta)
    sampler = Sampler(VOCABULARY)
    tokens = [int(numbers.integers(VOCABULARY))]
    chooser = Chooser(Sampling(temperature=1.0), random.Random(seed), [watermark.change(tokens[0])])
    for _ in range(length):
        logits = (numbers.standard_normal((1, VOCABULARY)) * sigma).astype(np.float32)
        (token,) = sampler.draw(logits, [chooser])
        chooser.take(token)
        tokens.append(token)
    return tokens


@pytest.mark.parametrize("gamma", [0.25, 0.5])
def test_the_share_of_green_tokens_is_gamma(gamma: float) -> None:
    watermark = Watermark(100_000, gamma=gamma, delta=1.0)
    for before in (0, 1, 99_999):
        row = np.zeros(100_000, np.float32)
        watermark.raise_green(row, before)

        assert gamma == pytest.approx(row.mean(), abs=0.01)


def test_what_is_green_depends_on_the_token_before_and_on_the_key() -> None:
    rows = np.zeros((3, 10_000), np.float32)
    Watermark(10_000).raise_green(rows[0], 7)
    Watermark(10_000).raise_green(rows[1], 8)
    Watermark(10_000, key=1).raise_green(rows[2], 7)

    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert 0.5 == pytest.approx((rows[one] == rows[other]).mean(), abs=0.03)


def test_p_values_of_unmarked_text_are_uniform() -> None:
    values = [detect(generate(100, seed, delta=0.0)).p_value for seed in range(100)]

    assert 0.1 == pytest.approx(np.mean(np.array(values) < 0.1), abs=0.08)
    assert 0.5 == pytest.approx(np.mean(np.array(values) < 0.5), abs=0.15)


def test_marked_text_of_100_tokens_is_found_at_a_false_alarm_in_ten_thousand() -> None:
    found = [detect(generate(100, seed, delta=2.0)).p_value < 1e-4 for seed in range(40)]

    assert sum(found) >= 38


def test_another_key_finds_nothing() -> None:
    assert detect(generate(200, 1, delta=4.0), key=5).p_value > 1e-3


def test_repeated_pairs_count_once() -> None:
    tokens = [1, 2] * 50

    assert 2 == detect(tokens).scored


@pytest.mark.parametrize("tokens", [[], [5]])
def test_nothing_to_score_proves_nothing(tokens: list[int]) -> None:
    assert 1.0 == detect(tokens).p_value
