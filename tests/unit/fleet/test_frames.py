"""The splitter finds the same frames however the bytes are cut."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saker.engine.messages import MAX_FRAME_BYTES
from saker.fleet.launch.frames import FrameSplitter


def pack(body: bytes) -> bytes:
    return struct.pack("!I", len(body)) + body


@given(st.lists(st.binary(max_size=40), max_size=10), st.lists(st.integers(1, 30), min_size=1, max_size=50))
def test_frames_come_out_whole_and_in_order_however_the_bytes_are_cut(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(pack, bodies))
    splitter = FrameSplitter()
    found: list[bytes] = []
    while stream:
        cut = cuts.pop(0) if cuts else len(stream)
        found += map(bytes, splitter.feed(stream[:cut]))
        stream = stream[cut:]

    assert bodies == found


def test_a_large_frame_in_many_pieces_is_put_together() -> None:
    body = bytes(range(256)) * 4096
    stream = pack(body) + pack(b"next")
    splitter = FrameSplitter()

    found = [bytes(f) for start in range(0, len(stream), 1000) for f in splitter.feed(stream[start : start + 1000])]

    assert [body, b"next"] == found


def test_a_frame_beyond_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(ValueError, match="exceeds the limit"):
        FrameSplitter().feed(struct.pack("!I", MAX_FRAME_BYTES + 1))
