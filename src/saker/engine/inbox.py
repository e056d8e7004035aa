"""Takes commands off the worker's socket between two steps, without a thread.

A thread would have to wait for Python's global lock, which an engine holds while it computes: commands would come in
some steps late. Only the end of the gateway is watched for by a thread, because it must be noticed in the middle of a
step, too.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator

from saker.engine.messages import Command, frame_length, read_command

_HEADER_BYTES = 4
_READ_BYTES = 256 * 1024


class Inbox:
    """The receiving side of the worker's socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._arrivals = select.poll()
        self._arrivals.register(connection, select.POLLIN)
        self._chunk = bytearray(_READ_BYTES)
        self._pending = bytearray()

    def read(self, *, wait: bool) -> list[Command]:
        """Commands that have arrived; possibly none.

        Args:
            wait: Whether to sleep until something arrives, which may be less than a whole command.

        Raises:
            EOFError: The gateway has gone.
            ValueError, msgspec.ValidationError, msgspec.DecodeError: It sent something that is no command.
        """
        if not wait and not self._arrivals.poll(0):
            return []
        try:
            count = self._connection.recv_into(self._chunk)
        except OSError as error:  # a reset is an end of file, too
            raise EOFError from error
        if not count:
            raise EOFError
        self._pending += memoryview(self._chunk)[:count]
        return list(self._take())

    def _take(self) -> Iterator[Command]:
        """All whole commands, removed from what is pending."""
        at = 0
        try:
            with memoryview(self._pending) as pending:
                while len(pending) - at >= _HEADER_BYTES:
                    end = at + _HEADER_BYTES + frame_length(bytes(pending[at : at + _HEADER_BYTES]))
                    if end > len(pending):
                        break
                    yield read_command(bytes(pending[at + _HEADER_BYTES : end]))
                    at = end
        finally:
            del self._pending[:at]


def watch_for_end(connection: socket.socket, then: Callable[[], None]) -> None:
    """Sleep until the other side is closed, then call; for a thread of its own."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)  # errors and hang-ups are always reported
    poll.poll()
    then()
