"""Cuts a stream of bytes into frames."""

from __future__ import annotations

from saker.engine.messages import frame_length

HEADER_BYTES = 4


class FrameSplitter:
    """Takes bytes as they arrive and gives back the bodies of the frames that are complete.

    Bodies point into what arrived; only a frame that came in several pieces is copied.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._missing = 0

    def feed(self, data: bytes | bytearray) -> list[memoryview]:
        """The bodies that `data` completes, in order.

        Raises:
            ValueError: A frame is longer than `MAX_FRAME_BYTES`; nothing after it can be read.
        """
        if self._rest:
            self._rest += data
            if len(data) < self._missing:
                self._missing -= len(data)
                return []
            data, self._rest = self._rest, bytearray()
        return self._split(memoryview(data))

    def _split(self, view: memoryview) -> list[memoryview]:
        bodies = []
        start, end, need = 0, len(view), HEADER_BYTES
        while end - start >= HEADER_BYTES:
            need = HEADER_BYTES + frame_length(view[start : start + HEADER_BYTES])
            if end - start < need:
                break
            bodies.append(view[start + HEADER_BYTES : start + need])
            start, need = start + need, HEADER_BYTES
        if start < end:
            self._rest += view[start:]
            self._missing = need - (end - start)
        return bodies
