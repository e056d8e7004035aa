"""How much room a KV cache gets."""

from __future__ import annotations

from pathlib import Path

from saker.engine.config import KVShape
from saker.engine.memory import BLOCK_TOKENS, available_bytes, kv_blocks

SHAPE = KVShape(layers=2, heads=4, head_size=8)
BLOCK_BYTES = 2 * 2 * 4 * 8 * 2 * BLOCK_TOKENS


def machine(folder: Path, available_kib: int, limit: str | None = None, used: int = 0) -> tuple[Path, Path]:
    (folder / "meminfo").write_text(f"MemTotal: 999999 kB\nMemAvailable:   {available_kib} kB\n")
    if limit is not None:
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{used}\n")
    return folder, folder


def test_the_system_tells_what_is_available(tmp_path: Path) -> None:
    assert available_bytes(*machine(tmp_path, 100)) == 100 * 1024


def test_a_containers_limit_counts_if_it_is_less(tmp_path: Path) -> None:
    assert available_bytes(*machine(tmp_path, 100, limit="5000", used=1000)) == 4000


def test_a_container_without_a_limit_has_none(tmp_path: Path) -> None:
    assert available_bytes(*machine(tmp_path, 100, limit="max")) == 100 * 1024


def test_what_was_asked_for_is_given() -> None:
    assert kv_blocks(SHAPE, 2, wanted_bytes=10 * BLOCK_BYTES + 1, most_tokens=1) == 10


def test_by_default_no_more_than_can_be_used() -> None:
    assert kv_blocks(SHAPE, 2, wanted_bytes=None, most_tokens=3 * BLOCK_TOKENS + 1) == 4


def test_there_is_always_one_block() -> None:
    assert kv_blocks(SHAPE, 2, wanted_bytes=1, most_tokens=1) == 1
