"""Guesses from repetition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from saker.engine.paged.lookup import PATTERN, Lookup


def test_what_came_after_the_same_tokens_is_guessed() -> None:
    assert [4, 5, 1] == Lookup([1, 2, 3, 4, 5, 1, 2, 3], 3).guess(9)


def test_the_latest_place_counts() -> None:
    assert [9] == Lookup([1, 2, 3, 4, 1, 2, 3, 9, 1, 2, 3], 1).guess(9)


def test_nothing_known_is_no_guess() -> None:
    assert [] == Lookup([1, 2, 3, 4, 5], 4).guess(9)
    assert [] == Lookup([1], 4).guess(9)


def test_no_room_is_no_guess() -> None:
    assert [] == Lookup([1, 2, 3, 4, 1, 2, 3], 4).guess(0)


def test_appended_tokens_are_seen() -> None:
    tokens = [1, 2, 3, 7]
    lookup = Lookup(tokens, 4)
    lookup.guess(4)
    tokens += [1, 2, 3]

    assert [7, 1, 2, 3] == lookup.guess(4)


def test_wrong_guesses_become_short_and_right_ones_long_again() -> None:
    lookup = Lookup([], 8)
    lengths = []
    for guessed, right in ((8, 0), (1, 1), (2, 2), (4, 4), (8, 8), (8, 3)):
        lookup.learn(guessed, right)
        lengths.append(lookup.length)

    assert [1, 2, 4, 8, 8, 4] == lengths


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 8), st.integers(0, 10))
def test_a_guess_is_what_the_text_says_after_its_own_end(tokens: list[int], most: int, room: int) -> None:
    guess = Lookup(tokens, most).guess(room)
    ends = [end for end in range(PATTERN, len(tokens)) if tokens[end - PATTERN : end] == tokens[-PATTERN:]]
    expected = tokens[ends[-1] : ends[-1] + min(most, room)] if ends and len(tokens) >= PATTERN else []

    assert expected == guess
