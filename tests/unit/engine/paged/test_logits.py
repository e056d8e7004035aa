"""Penalties and biases, beside their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saker.engine.messages import GenerateRequest, Sampling
from saker.engine.paged.logits import Bias, CountPenalty, RepetitionPenalty, TokenSet, changes_for
from saker.engine.paged.watermark import Watermark


def test_seen_tokens_become_less_likely_whatever_their_sign() -> None:
    row = np.array([2.0, -2.0, 2.0, -2.0], np.float32)
    change = RepetitionPenalty(2.0, [0, 1, 0])
    change.take(3)
    change.apply(row)

    assert [1.0, -4.0, 2.0, -4.0] == row.tolist()


def test_counted_tokens_become_less_likely_by_count_and_presence() -> None:
    row = np.zeros(4, np.float32)
    change = CountPenalty(frequency=0.5, presence=0.25)
    for token in (2, 1, 2):
        change.take(token)
    change.apply(row)

    assert [0.0, -0.75, -1.25, 0.0] == row.tolist()


def test_biases_are_added() -> None:
    row = np.zeros(4, np.float32)
    Bias({3: 1.5, 0: -2.0}).apply(row)

    assert [-2.0, 0.0, 0.0, 1.5] == row.tolist()


@given(st.lists(st.integers(0, 200)), st.lists(st.integers(0, 200), max_size=200))
def test_a_token_set_holds_each_token_once_in_order(given: list[int], added: list[int]) -> None:
    tokens = TokenSet(given)
    places = [tokens.add(token) for token in added]

    assert list(dict.fromkeys(given + added)) == tokens.ids.tolist()
    assert added == tokens.ids[places].tolist() if added else True


@given(st.lists(st.integers(0, 30), max_size=100))
def test_count_penalties_grow_with_the_answer(answer: list[int]) -> None:
    row = np.zeros(31, np.float32)
    change = CountPenalty(frequency=1.0, presence=0.5)
    for token in answer:
        change.take(token)
    change.apply(row)

    assert [-(answer.count(token) + 0.5 * (token in answer)) for token in range(31)] == row.tolist()


@pytest.mark.parametrize(
    ("request_", "kinds"),
    [
        (GenerateRequest(), []),
        (GenerateRequest(sampling=Sampling(temperature=1.0, top_p=0.5)), []),
        (
            GenerateRequest(
                sampling=Sampling(repetition_penalty=1.1, presence_penalty=0.1), logit_bias={1: 1.0}, watermark=True
            ),
            ["RepetitionPenalty", "CountPenalty", "Bias", "WatermarkChange"],
        ),
    ],
)
def test_only_what_is_asked_for_is_done(request_: GenerateRequest, kinds: list[str]) -> None:
    changes = changes_for(request_, [5], Watermark(10))

    assert kinds == [type(change).__name__ for change in changes]
