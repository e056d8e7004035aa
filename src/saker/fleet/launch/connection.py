"""The gateway's end of the socket to one worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

import msgspec

from saker.core.errors import TooLarge
from saker.engine.messages import MAX_FRAME_BYTES, Command, Report, pack, read_report
from saker.fleet.launch.frames import FrameSplitter

MAX_UNSENT_BYTES = 2 * MAX_FRAME_BYTES
"""Commands that a worker has not read yet; one that leaves more has stopped reading."""

log = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """Sends commands without ever waiting, and hands out reports as they arrive."""

    def __init__(
        self,
        on_report: Callable[[Report], None],
        on_broken: Callable[[str], None],
        on_lost: Callable[[], None],
        max_unsent_bytes: int = MAX_UNSENT_BYTES,
    ) -> None:
        """
        Args:
            on_broken: Called when the worker breaks the protocol, with what it did in words; nothing more is reported.
            on_lost: Called once, when the connection has ended.
        """
        self._on_report = on_report
        self._on_broken = on_broken
        self._on_lost = on_lost
        self._max_unsent_bytes = max_unsent_bytes
        self._splitter = FrameSplitter()
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Commands can be sent from now on."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by behaviour only
        self._transport.set_write_buffer_limits(high=self._max_unsent_bytes)

    def send(self, command: Command) -> None:
        """Pass a command on; all those of one turn of the event loop go out in one write.

        Raises:
            TooLarge: The command does not fit into a frame.
        """
        if self._transport is None:
            return
        frame = pack(command)
        if len(frame) > MAX_FRAME_BYTES:
            raise TooLarge(
                f"The request has {len(frame)} bytes.",
                why=f"A worker takes at most {MAX_FRAME_BYTES} bytes at once.",
                fix="Split it into smaller ones.",
            )
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent.append(frame)

    def _flush(self) -> None:
        frames, self._unsent = self._unsent, []
        if self._transport is not None:
            self._transport.write(b"".join(frames))

    def data_received(self, data: bytes) -> None:
        """Report every frame that is complete."""
        try:
            for body in self._splitter.feed(data):
                self._report(read_report(body))
        except (ValueError, msgspec.MsgspecError) as error:
            log.error("A worker sent a bad frame: %s", error)
            self._break("sent something that is no report")

    def _report(self, report: Report) -> None:
        try:
            self._on_report(report)
        except Exception:
            log.exception("A report could not be handled.")

    def pause_writing(self) -> None:
        """The worker has left too much unread."""
        self._break("stopped reading its commands")

    def _break(self, what: str) -> None:
        self.close()
        self._on_broken(what)

    def connection_lost(self, exc: Exception | None) -> None:
        """The worker closed its end, or `close` this one."""
        self._transport = None
        self._on_lost()

    def close(self) -> None:
        """Hang up; what is unsent is dropped. Safe to call twice."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
