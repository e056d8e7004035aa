"""Is the machine fit: Python, memory, disk, open files, the port?"""

from __future__ import annotations

import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from saker.cli import ports
from saker.cli.checks.base import Context, Finding
from saker.cli.output import size
from saker.core.errors import Conflict

GIB = 1024**3
MIN_PYTHON = (3, 11)
LOW_MEMORY = 2 * GIB
"""Less leaves no room for a small language model beside the platform."""
LOW_DISK, NO_DISK = 5 * GIB, 256 * 1024**2
"""A few billion parameters take gigabytes; below the second even the state cannot be kept."""
LOW_OPEN_FILES = 4096
"""Each connection takes one, and the platform allows 2,048 connections by default."""


def python(context: Context) -> Iterator[Finding]:
    """The interpreter's version."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < MIN_PYTHON:
        fix = "Install Saker with a newer Python."
        yield Finding("Python", "fail", f"{version}; Saker needs {'.'.join(map(str, MIN_PYTHON))} or newer.", fix)
    else:
        yield Finding("Python", "ok", f"{version} ({sys.executable})")


def memory(context: Context) -> Iterator[Finding]:
    """What is free for models."""
    free = free_memory(Path("/proc/meminfo"))
    if free is None:
        yield Finding("Memory", "warn", "Unknown: /proc/meminfo cannot be read.")
    elif free < LOW_MEMORY:
        fix = "Stop other programs, or deploy small models and --weight-format int4."
        yield Finding("Memory", "warn", f"{size(free)} free; a 1-billion-parameter model takes about 2 GiB.", fix)
    else:
        yield Finding("Memory", "ok", f"{size(free)} free")


def free_memory(meminfo: Path) -> int | None:
    """Bytes that programs can still take, by the kernel's estimate; None where it gives none."""
    try:
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def disk(context: Context) -> Iterator[Finding]:
    """What is free for models and state."""
    folder = next(path for path in (context.settings.home, *context.settings.home.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    text = f"{size(free)} free for {context.settings.home}"
    if free < LOW_DISK:
        fix = "Free some space, or name a folder on another disk with SAKER_HOME."
        yield Finding("Disk", "fail" if free < NO_DISK else "warn", text, fix)
    else:
        yield Finding("Disk", "ok", text)


def open_files(context: Context) -> Iterator[Finding]:
    """The limit on open files, connections among them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= LOW_OPEN_FILES:
        yield Finding("Open files", "ok", f"up to {'any number' if soft == resource.RLIM_INFINITY else soft}")
        return
    text = f"up to {soft}; {context.settings.max_connections} connections and the workers need more under load."
    can_raise = hard == resource.RLIM_INFINITY or hard >= LOW_OPEN_FILES
    fix = (
        f"Before `saker up`: ulimit -n {LOW_OPEN_FILES}" if can_raise else "Raise nofile in /etc/security/limits.conf."
    )
    yield Finding("Open files", "warn", text, fix)


def port(context: Context) -> Iterator[Finding]:
    """Whether the port is free, or our own platform's."""
    number = context.settings.port
    if context.holder is not None:
        yield Finding("Port", "ok", f"{context.holder.port}, the platform's")
        return
    try:
        ports.check_free(context.settings)
    except Conflict as error:
        yield Finding("Port", "fail", f"{error.what} {error.why}", error.fix)
    else:
        yield Finding("Port", "ok", f"{number} is free")
