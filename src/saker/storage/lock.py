"""One platform to a data folder: a lock file that the running one holds, with its process id and port inside.

The kernel frees the lock when the process ends, however it ends, so there are no stale locks to clean up.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from saker.core.errors import Conflict, Unavailable

_ATTEMPTS = 5
_PAUSE_S = 0.02
"""Someone who only looks holds the lock for an instant, so it is tried a few times."""


@dataclass(frozen=True, slots=True)
class LockHolder:
    """The running platform of a data folder."""

    pid: int
    """0 when it has not been written yet."""
    port: int


class FolderLock:
    """The lock on one data folder. A context manager: leaving it frees the lock."""

    def __init__(self, home: Path) -> None:
        self.path = home / "lock"
        self._descriptor: int | None = None

    def acquire(self, *, port: int) -> Self:
        """Take the lock; makes the folder when it does not exist.

        Raises:
            Conflict: Another process holds it; names its id and port.
            Unavailable: The folder cannot be written.
        """
        descriptor = self._open()
        if not _try_lock(descriptor):
            holder = _read(descriptor)
            os.close(descriptor)
            raise self._in_use(holder)
        self._descriptor = descriptor
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "port": port}).encode() + b"\n", 0)
        return self

    def release(self) -> None:
        """Free the lock. Safe to call twice."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> LockHolder | None:
        """Who holds the lock; None when nobody does.

        Raises:
            Unavailable: The file cannot be read.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Unavailable(f"{str(self.path)!r} cannot be read.", why=f"{error.strerror}.") from error
        try:
            return None if _try_lock(descriptor, fcntl.LOCK_SH, attempts=1) else _read(descriptor)
        finally:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()

    def _open(self) -> int:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Unavailable(
                f"The data folder {str(self.path.parent)!r} cannot be used.",
                why=f"{error.strerror}.",
                fix="Make it writable, or name another with --home or SAKER_HOME.",
            ) from error

    def _in_use(self, holder: LockHolder) -> Conflict:
        home = self.path.parent
        return Conflict(
            f"The data folder {str(home)!r} is in use.",
            why=f"The platform with process id {holder.pid} holds it, on port {holder.port}.",
            fix=f"Stop it with `saker down --home {home}`, or name another folder with --home or SAKER_HOME.",
        )


def _try_lock(descriptor: int, kind: int = fcntl.LOCK_EX, *, attempts: int = _ATTEMPTS) -> bool:
    for attempt in range(attempts):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return True
        if attempt + 1 < attempts:
            time.sleep(_PAUSE_S)
    return False


def _read(descriptor: int) -> LockHolder:
    """What the holder wrote; zeros in the instant before it has."""
    try:
        fields = json.loads(os.pread(descriptor, 4096, 0))
        return LockHolder(int(fields["pid"]), int(fields["port"]))
    except (ValueError, KeyError, TypeError):
        return LockHolder(0, 0)
