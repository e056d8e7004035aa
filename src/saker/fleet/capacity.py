"""How much memory is free, and whether a new replica fits.

The machine's free memory and the limits of the control groups around this process bound it together: in a container the
kernel's own figure is of the whole machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from saker.engine.messages import Unfit

GIB = 1024**3
UNLIMITED = 1 << 60
"""Control groups of version 1 write "no limit" as a huge number."""


def available_bytes(root: Path = Path("/")) -> int:
    """Memory that a new process can use without swapping; a huge number where the system does not tell.

    Args:
        root: Where `proc` and `sys` lie.
    """
    return max(0, min([_machine_bytes(root), *_group_bytes(root)]))


def _machine_bytes(root: Path) -> int:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return UNLIMITED
    values = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return values[0] if values else UNLIMITED


def _group_bytes(root: Path) -> Iterator[int]:
    """What each control group around this process has left."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _left_upwards(root / "sys/fs/cgroup", path, "memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            yield from _left_upwards(base, path, "memory.limit_in_bytes", "memory.usage_in_bytes")


def _left_upwards(base: Path, path: str, limit: str, usage: str) -> Iterator[int]:
    """From the innermost group outwards; in a container the path may lie outside of what is mounted."""
    folder = base / path.lstrip("/")
    for group in (folder, *folder.parents):
        if not group.is_relative_to(base):
            return
        bound = _number(group / limit)
        if bound is not None and bound < UNLIMITED:
            yield bound - (_number(group / usage) or 0) + _reclaimable(group / "memory.stat")


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # absent, or "max"
        return None


def _reclaimable(file: Path) -> int:
    """Page cache that the kernel gives up when memory is short; it counts as used."""
    try:
        fields = dict(line.split() for line in file.read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return int(fields.get("total_inactive_file", fields.get("inactive_file", 0)))


def memory_shortage(need: int, available: int, ratio: float) -> Unfit | None:
    """Why a replica that needs `need` bytes cannot start; None when it fits or its need is unknown."""
    if need <= available * ratio:
        return None
    return Unfit(
        f"The model needs about {need / GIB:.2f} GiB of memory; {available / GIB:.2f} GiB are available.",
        f"A new replica may plan with {ratio:.0%} of what is available (setting memory_limit_ratio).",
        "Delete other endpoints, deploy a smaller model or int4 weights, or raise memory_limit_ratio.",
    )
