"""The lock on a data folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from saker.core.errors import Conflict, Unavailable
from saker.storage.lock import FolderLock, LockHolder

HOLD = """
import sys
from pathlib import Path
from saker.storage.lock import FolderLock
with FolderLock(Path(sys.argv[1])).acquire(port=8751):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_free_folder_has_no_holder(tmp_path: Path) -> None:
    assert FolderLock(tmp_path).holder() is None


def test_the_lock_makes_the_folder_for_its_owner_only(tmp_path: Path) -> None:
    with FolderLock(tmp_path / "new" / "home").acquire(port=1):
        assert (tmp_path / "new" / "home").stat().st_mode & 0o777 == 0o700


def test_the_lock_file_names_process_and_port(tmp_path: Path) -> None:
    with FolderLock(tmp_path).acquire(port=8750):
        assert json.loads((tmp_path / "lock").read_text()) == {"pid": os.getpid(), "port": 8750}


def test_a_held_lock_is_refused_with_the_holder_named(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path) as process:
        with pytest.raises(Conflict) as caught:
            FolderLock(tmp_path).acquire(port=8750)

        assert caught.value.why == f"The platform with process id {process.pid} holds it, on port 8751."
        assert FolderLock(tmp_path).holder() == LockHolder(process.pid, 8751)


def test_looking_does_not_disturb_the_holder(tmp_path: Path) -> None:
    with FolderLock(tmp_path).acquire(port=8750):
        FolderLock(tmp_path).holder()

        assert FolderLock(tmp_path).holder() == LockHolder(os.getpid(), 8750)


def test_a_killed_holder_leaves_the_lock_free(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path) as process:
        process.kill()
        process.wait()

    assert FolderLock(tmp_path).holder() is None
    with FolderLock(tmp_path).acquire(port=8752):
        assert FolderLock(tmp_path).holder() == LockHolder(os.getpid(), 8752)


def test_a_released_lock_can_be_taken_again(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    lock.acquire(port=1).release()
    lock.release()

    with FolderLock(tmp_path).acquire(port=2):
        assert lock.holder() == LockHolder(os.getpid(), 2)


def test_a_folder_that_cannot_be_made_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Unavailable, match="Not a directory"):
        FolderLock(tmp_path / "file" / "home").acquire(port=1)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": null}', "7"])
def test_a_lock_whose_holder_has_not_written_yet_is_still_held(tmp_path: Path, content: str) -> None:
    with FolderLock(tmp_path).acquire(port=8750):
        (tmp_path / "lock").write_text(content)

        assert FolderLock(tmp_path).holder() == LockHolder(0, 0)
