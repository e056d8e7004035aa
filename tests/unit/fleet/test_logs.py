"""Logs are found by endpoint, and old ones are removed."""

from __future__ import annotations

import os
from pathlib import Path

from saker.fleet.logs import KEPT_REPLICAS, LogFolder
from support.fleets import KEY


def write(path: Path, changed_at: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (changed_at, changed_at))
    return path


def test_an_endpoints_files_are_listed_the_last_written_at_the_end(tmp_path: Path) -> None:
    logs = LogFolder(tmp_path)
    newer = write(logs.path(KEY, "b"), 20)
    older = write(logs.path(KEY, "a"), 10)
    write(logs.path(KEY._replace(endpoint="other"), "c"), 30)

    assert [older, newer] == logs.files("demo")
    assert [] == logs.files("missing")


def test_old_logs_are_removed_and_those_of_the_living_stay(tmp_path: Path) -> None:
    logs = LogFolder(tmp_path)
    paths = [write(logs.path(KEY, f"r{number}"), number) for number in range(KEPT_REPLICAS + 3)]
    write(paths[1].with_name("r1.log.1"), 1)

    logs.prune(KEY, living={"r0"})

    assert [paths[0], *paths[4:]] == logs.files("demo")
