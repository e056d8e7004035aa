"""One shape for log lines: time, level, where, what. To standard error, where a supervisor or a terminal takes them."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime


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


def configure(level: str) -> None:
    """Send the process's log to standard error.

    Args:
        level: "debug", "info", "warning" or "error".
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("saker").setLevel(level.upper())
