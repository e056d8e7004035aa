"""Content hashes of local models, and a memory of them, so that gigabytes are read once and not at every start."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from saker.models.base import Progress, ProgressCallback
from saker.models.files import total_bytes
from saker.models.helper import REPORT_INTERVAL_S

_BLOCK = 1 << 20


def content_hash(folder: Path, files: Mapping[str, int], on_bytes: Callable[[int], None] = lambda done: None) -> str:
    """A hash of the names and contents of the files. Blocks.

    Args:
        folder: What the names are relative to.
        files: Names, and bytes.
        on_bytes: Called with the bytes read so far.
    """
    whole, done = hashlib.sha256(), 0
    for name in sorted(files):
        own = hashlib.sha256()
        with (folder / name).open("rb") as file:
            while block := file.read(_BLOCK):
                own.update(block)
                done += len(block)
                on_bytes(done)
        whole.update(f"{name}\0{own.hexdigest()}\n".encode())
    return whole.hexdigest()


def stat_hash(folder: Path, files: Mapping[str, int]) -> str:
    """A hash of the names, sizes, modification times and inodes: as long as it stays the same, so do the contents."""
    whole = hashlib.sha256(str(folder.resolve()).encode())
    for name in sorted(files):
        stat = (folder / name).stat()
        whole.update(f"{name}\0{stat.st_size} {stat.st_mtime_ns} {stat.st_ino}\n".encode())
    return whole.hexdigest()


async def hash_in_thread(folder: Path, files: Mapping[str, int], progress: ProgressCallback) -> str:
    """`content_hash` beside the event loop; a cancelled caller ends it within one block."""
    loop, cancelled = asyncio.get_running_loop(), threading.Event()
    total, told_at = total_bytes(files), 0.0

    def on_bytes(done: int) -> None:
        nonlocal told_at
        if cancelled.is_set():
            raise InterruptedError
        if time.monotonic() - told_at >= REPORT_INTERVAL_S:
            told_at = time.monotonic()
            loop.call_soon_threadsafe(progress, Progress("check", "Reading the files", done, total))

    try:
        return await asyncio.to_thread(content_hash, folder, files, on_bytes)
    except asyncio.CancelledError:
        cancelled.set()
        raise
