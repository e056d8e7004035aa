"""Log lines have one shape, and a log in a file has an end."""

from __future__ import annotations

import io
import logging
from pathlib import Path

from saker.telemetry.logs import BoundedHandler, Formatter


def make_logger(handler: logging.Handler) -> logging.Logger:
    handler.setFormatter(Formatter())
    logger = logging.Logger("saker.fleet.plan")
    logger.addHandler(handler)
    return logger


def test_a_line_tells_time_level_room_and_what() -> None:
    stream = io.StringIO()

    make_logger(BoundedHandler(stream)).warning("replica %s is gone", "x")

    stamp, level, rest = stream.getvalue().split(" ", 2)
    assert (len("2026-11-21T03:50:39.123Z"), "Z") == (len(stamp), stamp[-1])
    assert ("warning", "fleet: replica x is gone\n") == (level, rest)


def test_a_fault_is_followed_by_its_traceback() -> None:
    stream = io.StringIO()
    logger = make_logger(BoundedHandler(stream))
    try:
        raise ValueError("why")
    except ValueError:
        logger.exception("it failed")

    assert "ValueError: why" in stream.getvalue()


def test_a_file_never_holds_more_than_twice_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "saker.log"
    with path.open("a") as stream:
        logger = make_logger(BoundedHandler(stream, limit=2000))
        for number in range(500):
            logger.error("line %d", number)

    kept = (tmp_path / "saker.log.1").read_text() + path.read_text()
    assert len(kept) < 4500
    assert "line 499" in kept
    assert 0o600 == (tmp_path / "saker.log.1").stat().st_mode & 0o777
