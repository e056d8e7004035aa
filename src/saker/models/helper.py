"""The inside of a helper process: reads one request, reports by JSON lines, and ends when the platform does.

Downloads, conversions and installations run in processes of their own: they can be stopped at any moment, their memory
goes back to the machine, and their heavy libraries never enter the gateway. Standard library only, because it also runs
in engine environments.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from saker.core.errors import SakerError

REPORT_INTERVAL_S = 0.1
"""Progress within one phase is reported at most this often."""

Report = Callable[..., None]
"""`report(phase, message, done=, total=, unit=)`; see `base.Progress`."""


def serve(work: Callable[[dict[str, Any], Report], dict[str, Any]]) -> None:
    """Do one piece of work for the parent process: its request on stdin, progress and result on stdout."""
    with _private_stdout() as send:
        request = json.loads(sys.stdin.buffer.readline())
        threading.Thread(target=_end_with_parent, daemon=True).start()
        _volunteer_for_oom()
        try:
            send({"result": work(request, _reporter(send))})
        except SakerError as error:
            fields = {"what": error.what, "why": error.why, "fix": error.fix}
            send({"error": {"name": type(error).__name__, **fields}})
        except BaseException as error:
            traceback.print_exc()  # into the log
            send({"error": {"name": "Internal", "what": f"{type(error).__name__}: {str(error)[:500]}"}})
    sys.stderr.flush()
    os._exit(0)  # taking torch down in order would last a second and do nothing


@contextmanager
def _private_stdout() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Keep stdout for reports; whatever libraries print goes to stderr, which is the log."""
    with os.fdopen(os.dup(1), "wb", buffering=0) as out:
        os.dup2(2, 1)
        logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
        yield lambda message: _write(out.fileno(), json.dumps(message).encode() + b"\n")


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _reporter(send: Callable[[dict[str, Any]], None]) -> Report:
    last: tuple[str, str] = ("", "")
    sent_at = 0.0

    def report(phase: str, message: str = "", done: int = 0, total: int = 0, unit: str = "bytes") -> None:
        nonlocal last, sent_at
        now = time.monotonic()
        if (phase, message) == last and now - sent_at < REPORT_INTERVAL_S and done != total:
            return
        last, sent_at = (phase, message), now
        send({"progress": {"phase": phase, "message": message, "done": done, "total": total, "unit": unit}})

    return report


def _end_with_parent() -> None:
    """The parent holds the other end of stdin; when it is gone, so is the reason to go on."""
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)  # this process leads its group, see process.py


def _volunteer_for_oom() -> None:
    """Let the kernel end this process before the gateway and its workers when memory runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")
    with suppress(OSError):
        os.nice(5)
