"""Stop strings in text that arrives piece by piece."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from saker.engine.stop import StopStrings

LETTERS = st.text(alphabet="ab", max_size=12)


def scan(stops: list[str], pieces: list[str]) -> tuple[str, bool]:
    scanner = StopStrings(stops)
    shown = "".join(scanner.feed(piece) for piece in pieces)
    return shown + ("" if scanner.is_found else scanner.flush()), scanner.is_found


def test_text_without_stop_strings_passes_unchanged() -> None:
    assert scan([], ["a", "bc"]) == ("abc", False)


def test_a_stop_string_across_pieces_is_found_and_not_shown() -> None:
    assert scan(["END"], ["The E", "N", "D and more"]) == ("The ", True)


def test_text_that_only_began_like_a_stop_string_is_shown_in_the_end() -> None:
    assert scan(["END"], ["The E", "N"]) == ("The EN", False)


def test_text_is_shown_as_soon_as_it_cannot_become_a_stop_string() -> None:
    scanner = StopStrings(["END"])

    assert [scanner.feed("x"), scanner.feed("E"), scanner.feed("a")] == ["x", "", "Ea"]


def test_the_stop_string_that_is_complete_first_wins() -> None:
    assert scan(["abcd", "c"], ["abcd"]) == ("ab", True)


@given(st.lists(st.text(alphabet="ab", min_size=1, max_size=4), max_size=3), st.lists(LETTERS, max_size=6))
def test_the_result_does_not_depend_on_how_the_text_is_cut(stops: list[str], pieces: list[str]) -> None:
    text = "".join(pieces)

    assert scan(stops, list(text)) == scan(stops, pieces) == scan(stops, [text])


@given(st.lists(st.text(alphabet="ab", min_size=1, max_size=4), min_size=1, max_size=3), st.lists(LETTERS, max_size=6))
def test_no_stop_string_is_ever_shown(stops: list[str], pieces: list[str]) -> None:
    shown, _ = scan(stops, pieces)

    assert not any(stop in shown for stop in stops)
