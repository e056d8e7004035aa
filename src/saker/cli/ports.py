"""Finds out who listens on a port, from the kernel's tables.

Source: proc_net_tcp.rst of the Linux kernel's documentation; other systems have no such tables, and get no names.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from saker.core.errors import Conflict, SakerError
from saker.settings import Settings
from saker.storage.lock import FolderLock

_LISTEN = "0A"
_TABLES = ("tcp", "tcp6")


@dataclass(frozen=True, slots=True)
class Listener:
    """A process that listens on a port."""

    pid: int
    command: str
    """The program's name and first arguments."""
    home: Path | None
    """The data folder, when it is a platform of ours."""


def is_free(host: str, port: int) -> bool:
    """Whether the platform could listen there now. An address that cannot be used at all counts as free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def find_listener(port: int) -> Listener | None:
    """Who listens on a port of this machine; None when nobody does, or the process is another user's."""
    wanted = {f"socket:[{inode}]" for inode in _inodes(port)}
    if not wanted:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        files = set(_open_files(process))
        if files & wanted:
            return Listener(int(process.name), _command(process), _home(int(process.name), files))
    return None


def check_free(settings: Settings) -> None:
    """Refuse a port that something listens on, and say what it is.

    Raises:
        Conflict: It is in use.
    """
    if settings.port == 0 or is_free(settings.host, settings.port):
        return
    fix = "Name another port with --port or SAKER_PORT."
    what = f"Port {settings.port} of {settings.host} is in use."
    listener = find_listener(settings.port)
    if listener is None:
        raise Conflict(what, why="It belongs to a process that this user cannot look into.", fix=fix)
    if listener.home is not None:
        why = f"A platform with data folder {str(listener.home)!r} listens on it (process id {listener.pid})."
        raise Conflict(what, why=why, fix=f"Stop it with `saker down --home {listener.home}`. {fix}")
    raise Conflict(what, why=f"{listener.command!r} listens on it (process id {listener.pid}).", fix=fix)


def _inodes(port: int) -> Iterator[str]:
    for name in _TABLES:
        with suppress(OSError):
            for line in Path("/proc/net", name).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _open_files(process: Path) -> Iterator[str]:
    with suppress(OSError):
        for entry in (process / "fd").iterdir():
            with suppress(OSError):
                yield os.readlink(entry)


def _command(process: Path) -> str:
    with suppress(OSError):
        words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        return " ".join(words[:4]).strip()[:80]
    return "?"


def _home(pid: int, files: set[str]) -> Path | None:
    """The folder whose lock the process holds."""
    for file in files:
        if file.endswith("/lock"):
            with suppress(SakerError):
                holder = FolderLock(Path(file).parent).holder()
                if holder is not None and holder.pid == pid:
                    return Path(file).parent
    return None
