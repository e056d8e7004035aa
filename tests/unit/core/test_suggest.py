"""Right words for wrong ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from saker.core.suggest import did_you_mean, nearest

WORDS = st.lists(st.text(max_size=8), max_size=14)


def test_case_does_not_count() -> None:
    assert nearest("Max_Tokens", ["max_tokens", "min_p"]) == "max_tokens"


def test_a_far_word_brings_up_all_known_ones_when_they_are_few() -> None:
    assert did_you_mean("zebra", ["top_p", "seed"]) == "Known: seed, top_p."


def test_many_known_words_are_not_listed() -> None:
    assert did_you_mean("zebra", [f"parameter_{i}" for i in range(13)]) == ""


def test_without_known_words_nothing_is_said() -> None:
    assert did_you_mean("zebra", []) == ""


@given(st.text(max_size=8), WORDS)
def test_what_is_suggested_is_known(word: str, known: list[str]) -> None:
    assert nearest(word, known) in {None, *known}


@given(WORDS.filter(bool), st.data())
def test_a_known_word_is_nearest_to_itself_or_to_one_that_differs_in_case(
    known: list[str], data: st.DataObject
) -> None:
    word = data.draw(st.sampled_from(known))

    found = nearest(word, known)

    assert found is not None
    assert found.casefold() == word.casefold()
