"""Keeps what a worker prints, within a bound."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

LOG_FILE_BYTES = 8 * 1024**2
"""A full file becomes FILE.1 in place of the one before, so that a chatty engine holds at most twice this on disk."""
LAST_WORDS = 300
"""How many characters of the last line are kept."""


class OutputFile:
    """A log file that never grows past twice its limit."""

    def __init__(self, path: Path, limit: int = LOG_FILE_BYTES) -> None:
        """
        Raises:
            OSError: The file cannot be opened.
        """
        self._path = path
        self._limit = limit
        self._tail = b""
        self._fd = -1
        self._size = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open()

    def write(self, data: bytes) -> None:
        """Append; what does not fit on the disk is lost, the worker goes on."""
        self._tail = (self._tail + data)[-4 * LAST_WORDS :]
        with suppress(OSError):
            for start in range(0, len(data), self._limit):
                self._append(data[start : start + self._limit])

    def _append(self, data: bytes) -> None:
        if self._size + len(data) > self._limit:
            self.close()
            os.replace(self._path, rotated(self._path))
            self._open()
        self._size += os.write(self._fd, data)

    def last_line(self) -> str:
        """The last line that is not blank, shortened; "" when nothing was printed."""
        lines = self._tail.decode(errors="replace").split("\n")
        return next((line.strip()[-LAST_WORDS:] for line in reversed(lines) if line.strip()), "")

    def close(self) -> None:
        """Give the file back. Safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        # Engines may print what they work on, so only the owner reads it.
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._fd).st_size


def rotated(path: Path) -> Path:
    """Where a full log file goes."""
    return path.with_name(path.name + ".1")
