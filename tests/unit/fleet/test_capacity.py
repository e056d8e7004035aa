"""Free memory is the least of what the machine and the control groups leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from saker.fleet.capacity import GIB, UNLIMITED, available_bytes, memory_shortage


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MEMINFO = "MemTotal:  16777216 kB\nMemAvailable:   8388608 kB\n"


def test_without_control_groups_the_machine_decides(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/\n"})

    assert 8 * GIB == available_bytes(root)


def test_a_group_of_version_2_bounds_it_and_its_page_cache_counts_as_free(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "0::/app/saker\n",
            "sys/fs/cgroup/app/saker/memory.max": "max\n",
            "sys/fs/cgroup/app/memory.max": f"{4 * GIB}\n",
            "sys/fs/cgroup/app/memory.current": f"{3 * GIB}\n",
            "sys/fs/cgroup/app/memory.stat": f"anon 1\ninactive_file {GIB}\n",
        },
    )

    assert 2 * GIB == available_bytes(root)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (2 * GIB, GIB),
        (9223372036854771712, 8 * GIB),  # how version 1 writes "no limit"
    ],
)
def test_a_group_of_version_1_bounds_it_in_a_container_too(tmp_path: Path, limit: int, expected: int) -> None:
    root = write(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "3:cpu:/x\n5:memory:/docker/abc\n",  # only the container's own group is mounted
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{limit}\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GIB}\n",
        },
    )

    assert expected == available_bytes(root)


def test_a_system_that_does_not_tell_bounds_nothing(tmp_path: Path) -> None:
    assert UNLIMITED == available_bytes(tmp_path)


def test_this_machine_has_some_memory_free() -> None:
    assert 0 < available_bytes() < UNLIMITED


def test_a_replica_may_plan_with_the_ratio_of_what_is_free() -> None:
    assert memory_shortage(900, 1000, 0.9) is None
    assert memory_shortage(901, 1000, 0.9) is not None


def test_a_shortage_names_estimate_and_available() -> None:
    shortage = memory_shortage(3 * GIB, 2 * GIB, 0.9)

    assert shortage is not None
    assert shortage.what == "The model needs about 3.00 GiB of memory; 2.00 GiB are available."
    assert "memory_limit_ratio" in shortage.fix
