"""How much room a KV cache may take."""

from __future__ import annotations

from pathlib import Path

from saker.engine.config import KVShape

BLOCK_TOKENS = 32
"""Tokens to one block of OpenVINO's paged KV cache on CPUs."""

DEFAULT_SHARE = 0.25
"""Of the memory that is free when the model loads; several models share a machine."""


def available_bytes(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Memory that new allocations can have: the system's, or what is left of the container's if that is less."""
    free = _meminfo(proc / "meminfo")
    limit = _number(cgroup / "memory.max")
    used = _number(cgroup / "memory.current")
    if limit is not None and used is not None:
        free = min(free, max(limit - used, 0))
    return free


def kv_blocks(shape: KVShape, bytes_per_number: int, wanted_bytes: int | None, most_tokens: int) -> int:
    """How many blocks the cache gets.

    Args:
        bytes_per_number: 2 for 16-bit caches, 4 for fp32; an 8-bit cache then takes less than it may.
        wanted_bytes: What was asked for; None takes a share of the available memory, but not more than can be used.
        most_tokens: What all sequences together could fill.
    """
    block_bytes = 2 * shape.layers * shape.heads * shape.head_size * bytes_per_number * BLOCK_TOKENS
    return blocks_that_fit(block_bytes, wanted_bytes, most_tokens)


def blocks_that_fit(block_bytes: int, wanted_bytes: int | None, most_tokens: int) -> int:
    """How many blocks of a known size the cache gets; otherwise as `kv_blocks`."""
    if wanted_bytes is not None:
        return max(wanted_bytes // block_bytes, 1)
    room = int(available_bytes() * DEFAULT_SHARE)
    return max(min(room // block_bytes, -(-most_tokens // BLOCK_TOKENS)), 1)


def _meminfo(path: Path) -> int:
    for line in path.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"{path} has no line MemAvailable.")


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no such limit, or "max"
        return None
