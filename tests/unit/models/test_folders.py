from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from saker.models.folders import PARTIAL_AGE_S, publish, remove_leftovers, work_folder
from support.checkpoints import write_files


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_published_folder_is_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    with work_folder(tmp_path) as work:
        write_files(work, {"a": b"1", "sub/b": b"2"})
        publish(work, tmp_path / "model")

    assert {"model"} == names(tmp_path)
    assert b"2" == (tmp_path / "model" / "sub" / "b").read_bytes()


def test_work_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with work_folder(tmp_path) as work:
            write_files(work, {"a": b"1"})
            raise ValueError

    with pytest.raises(ValueError):
        fail()

    assert set() == names(tmp_path)


def test_of_two_who_publish_the_same_the_first_one_stays(tmp_path: Path) -> None:
    write_files(tmp_path / "model", {"a": b"first"})
    with work_folder(tmp_path) as work:
        write_files(work, {"a": b"second"})
        publish(work, tmp_path / "model")

    assert {"model"} == names(tmp_path)
    assert b"first" == (tmp_path / "model" / "a").read_bytes()


def test_folders_of_killed_processes_are_removed_and_those_at_work_are_not(tmp_path: Path) -> None:
    """The kernel frees a lock when its process ends, however it ends."""
    code = (
        "import os, sys, pathlib\nfrom saker.models.folders import work_folder\n"
        "with work_folder(pathlib.Path(sys.argv[1])):\n    os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=30)
    assert 1 == sum(path.is_dir() for path in tmp_path.iterdir())
    with work_folder(tmp_path) as work:
        remove_leftovers(tmp_path)

        assert [work] == [path for path in tmp_path.iterdir() if path.is_dir()]


def test_unfinished_downloads_are_kept_for_a_while(tmp_path: Path) -> None:
    write_files(tmp_path / "new.partial", {"a": b"1"})
    old = write_files(tmp_path / "old.partial", {"a": b"1"})
    long_ago = time.time() - PARTIAL_AGE_S - 60
    for path in (old / "a", old):
        os.utime(path, (long_ago, long_ago))
    (tmp_path / "gone.partial.lock").touch()

    remove_leftovers(tmp_path)

    assert {"new.partial"} == names(tmp_path)


def test_a_home_that_does_not_exist_has_no_leftovers(tmp_path: Path) -> None:
    remove_leftovers(tmp_path / "none")
