"""`saker env` makes `saker` mean the program that was run, wherever that is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from saker.cli import myself


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This program, in a folder with a quote and a space in its name."""
    path = tmp_path / "ada's own" / "saker"
    path.parent.mkdir()
    path.write_text('#!/bin/sh\necho "called with $*"\n')
    path.chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(path)])
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return path


def test_a_program_outside_the_path_becomes_a_function(program: Path) -> None:
    (line,) = myself.shell_function("sh")

    done = subprocess.run(["sh", "-c", f"{line}\nsaker env --json"], capture_output=True, text=True, check=True)

    assert done.stdout == "called with env --json\n"


def test_a_program_on_the_path_needs_nothing(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")

    assert [] == myself.shell_function("sh")
    assert myself.typed() == "saker"


def test_another_program_of_the_name_on_the_path_is_not_taken_for_it(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "saker"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert not myself.is_on_path()
    assert "ada" in myself.typed()


def test_files_get_no_function(program: Path) -> None:
    assert [] == myself.shell_function("dotenv")
    assert [] == myself.shell_function("json")


def test_other_shells_get_their_own_words(program: Path) -> None:
    assert myself.shell_function("fish")[0].startswith("function saker; '")
    assert "ada''s own" in myself.shell_function("powershell")[0]
