"""Folders that appear whole or not at all, and what a process that was killed left behind."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from saker.core.ids import short_id

PARTIAL_AGE_S = 7 * 24 * 3600
"""A download that nobody went on with for so long is removed at the next start."""


def sync_file(path: Path) -> None:
    """Make sure that the file's content, or the folder's list, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(work: Path, target: Path) -> None:
    """Give a finished folder its name, in one step that survives a power failure.

    When somebody else has published the same folder meanwhile, theirs stays and `work` is removed.
    """
    for path in work.rglob("*"):
        sync_file(path)
    sync_file(work)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        work.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(work, ignore_errors=True)
    sync_file(target.parent)


@contextmanager
def work_folder(home: Path) -> Iterator[Path]:
    """A fresh folder to work in; removed at the end unless it was published."""
    folder = home / f"work-{os.getpid()}-{short_id()}"
    folder.mkdir(parents=True)
    lock = os.open(_lock_path(folder), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _lock_path(folder).unlink(missing_ok=True)
        os.close(lock)


def remove_leftovers(home: Path) -> None:
    """Remove the work folders of processes that are gone, and downloads that were given up."""
    for folder in home.glob("work-*"):
        if folder.is_dir() and not _is_held(_lock_path(folder)):
            shutil.rmtree(folder, ignore_errors=True)
            _lock_path(folder).unlink(missing_ok=True)
    for folder in home.glob("*.partial"):
        lock = folder.with_name(folder.name + ".lock")
        if time.time() - _last_change(folder) > PARTIAL_AGE_S and not _is_held(lock):
            shutil.rmtree(folder, ignore_errors=True)
    for lock in home.glob("*.partial.lock"):
        if not lock.with_suffix("").exists() and not _is_held(lock):
            lock.unlink(missing_ok=True)


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def _is_held(lock: Path) -> bool:
    """Whether a living process holds the lock; the kernel frees the locks of those that ended, however they ended."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _last_change(folder: Path) -> float:
    newest = folder.stat().st_mtime
    for path in folder.rglob("*"):
        with suppress(OSError):
            newest = max(newest, path.stat().st_mtime)
    return newest
