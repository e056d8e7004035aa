"""Starts a platform in the background, and stops one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from saker.cli.client import Client
from saker.core.errors import DeadlineExceeded, SakerError, Unavailable
from saker.settings import Settings
from saker.storage.lock import FolderLock, LockHolder

_POLL_S = 0.05
_LAST_LINES = 12


def log_path(settings: Settings) -> Path:
    """Where a platform in the background writes its log."""
    return settings.home / "logs" / "saker.log"


def start(settings: Settings, arguments: Sequence[str], *, timeout_s: float) -> LockHolder:
    """Start `saker up` with these arguments as a process of its own, and wait until it answers.

    Raises:
        Unavailable: It ended instead; with the end of its log.
        DeadlineExceeded: It did not answer in time; it has been stopped.
    """
    log = log_path(settings)
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Append: what an earlier run wrote may explain why this one was needed.
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        begin = output.tell()
        process = subprocess.Popen(  # noqa: S603  # our own command
            [sys.executable, "-P", "-m", "saker", "up", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        return _wait_until_up(settings, process, log, begin, timeout_s)
    except BaseException:
        process.terminate()
        process.wait()
        raise
    finally:
        process.returncode = process.returncode or 0  # it is meant to outlive us; no warning that it does


def _wait_until_up(
    settings: Settings, process: subprocess.Popen[bytes], log: Path, begin: int, timeout_s: float
) -> LockHolder:
    deadline = time.monotonic() + timeout_s
    lock = FolderLock(settings.home)
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Unavailable("The platform did not start.", why=_end_of(log, begin), fix=f"The whole log is {log}.")
        holder = lock.holder()
        if holder is not None and holder.pid == process.pid and answers(settings):
            return holder
        time.sleep(_POLL_S)
    raise DeadlineExceeded(
        "The platform did not answer in time.",
        why=f"It was waited for {timeout_s:.0f} s. Its log ends: {_end_of(log, begin)}",
        fix=f"Wait longer with --timeout, or see the whole log: {log}",
    )


def answers(settings: Settings) -> bool:
    """Whether the platform's open health check answers."""
    try:
        return Client(settings).head()[0] == 200
    except SakerError:
        return False


def stop(settings: Settings, *, timeout_s: float) -> LockHolder | None:
    """Stop the platform that holds the data folder; returns which it was, or None when there is none.

    Raises:
        DeadlineExceeded: It still runs after that time.
        Unavailable: Its process is not ours to stop.
    """
    lock = FolderLock(settings.home)
    holder = lock.holder()
    if holder is None:
        return None
    if not _has_open(holder.pid, lock.path):
        raise Unavailable(
            f"The platform of {str(settings.home)!r} cannot be stopped from here.",
            why=f"The lock names process {holder.pid}, which this user cannot look into, or which runs elsewhere.",
            fix="Stop it as the user, and on the machine or in the container, that started it.",
        )
    os.kill(holder.pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while lock.holder() == holder:
        if time.monotonic() > deadline:
            raise DeadlineExceeded(
                f"The platform with process id {holder.pid} still runs after {timeout_s:.0f} s.",
                why="It lets running requests finish.",
                fix=f"Wait longer with --timeout, or end it at once: kill -9 {holder.pid}",
            )
        time.sleep(_POLL_S)
    return holder


def _has_open(pid: int, path: Path) -> bool:
    """Whether a process has the file open: proof that the number is still that of the lock's holder."""
    try:
        return any(entry.samefile(path) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.exists())
    except OSError:
        return False


def _end_of(log: Path, begin: int) -> str:
    with log.open("rb") as file:
        file.seek(begin)
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    return "\n  ".join(lines[-_LAST_LINES:]) or "It wrote nothing."
