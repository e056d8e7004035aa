"""One shape for log lines: time, level, where, what. To standard error, where a supervisor or a terminal takes them."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

LOG_FILE_BYTES = 16 * 1024**2
"""A log in a file is moved to FILE.1 when it is so long; so it holds at most twice this on disk."""


class Formatter(logging.Formatter):
    """Lines such as `2026-11-21T03:50:39.123Z info fleet: replica demo/AllTraffic is ready`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback follows on lines of its own."""
        moment = f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03d}Z"
        name = record.name.removeprefix("saker.").partition(".")[0]
        line = f"{moment} {record.levelname.lower()} {name}: {record.getMessage()}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class BoundedHandler(logging.StreamHandler[TextIO]):
    """Writes to a stream; where that is a file, keeps it within a bound.

    Whoever started the process opened the file, to append, and may have given it to others too; so it is copied and
    emptied in place instead of being replaced.
    """

    def __init__(self, stream: TextIO, limit: int = LOG_FILE_BYTES) -> None:
        super().__init__(stream)
        self._limit = limit
        self._path = _file_behind(stream)
        self._size = self._path.stat().st_size if self._path else 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        super().emit(record)
        if self._path is None:
            return
        self._size += len(self.format(record)) + 1
        if self._size > self._limit:
            self._size = 0
            with suppress(OSError):  # the line is written; an unbounded log is better than none
                shutil.copyfile(self._path, f"{self._path}.1")
                os.chmod(f"{self._path}.1", 0o600)
                os.ftruncate(self.stream.fileno(), 0)


def _file_behind(stream: TextIO) -> Path | None:
    """The file that a stream writes to; None for terminals, pipes and what has no descriptor."""
    try:
        descriptor = stream.fileno()
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return Path(f"/proc/self/fd/{descriptor}").readlink()
    except (OSError, ValueError):
        return None


def configure(level: str) -> None:
    """Send the process's log to standard error.

    Args:
        level: "debug", "info", "warning" or "error".
    """
    handler = BoundedHandler(sys.stderr)
    handler.setFormatter(Formatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("saker").setLevel(level.upper())
