"""Server-sent events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from saker.cli import sse


def test_events_are_read_whatever_the_parts_they_come_in() -> None:
    stream = b"data:one\n\ndata: two\r\n\r\n: comment\ndata:a\ndata:b\n\n"

    assert list(sse.data([stream])) == ["one", "two", "a\nb"]
    assert list(sse.data(stream[i : i + 1] for i in range(len(stream)))) == ["one", "two", "a\nb"]


def test_a_last_event_without_its_blank_line_counts() -> None:
    assert list(sse.data([b"data:last"])) == ["last"]


def test_a_character_cut_in_two_is_put_together() -> None:
    text = "data:é\n\n".encode()

    assert list(sse.data([text[:6], text[6:]])) == ["é"]


@given(st.lists(st.binary(max_size=20), max_size=20))
def test_any_bytes_are_read_without_fail(parts: list[bytes]) -> None:
    assert list(sse.data(parts)) == list(sse.data([b"".join(parts)]))
