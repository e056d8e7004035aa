"""saker engines"""

from __future__ import annotations

import json
from pathlib import Path

from saker.models.environments import MARKER, EngineEnvironments, requirements_hash
from support.command_line import run_here


def make_environment(home: Path) -> Path:
    """An environment that looks ready."""
    folder = home / "engines" / "torch"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    marker = {"requirements": requirements_hash("torch"), "versions": {"torch": "2.13.0"}}
    (folder / MARKER).write_text(json.dumps(marker))
    return folder


def test_a_missing_environment_is_shown_as_missing(tmp_path: Path) -> None:
    rows = json.loads(run_here("engines", "--home", tmp_path, "--json").out)

    assert [row["name"] for row in rows] == EngineEnvironments.names()
    assert rows[0]["state"] == "missing"


def test_a_ready_environment_is_shown_with_its_versions(tmp_path: Path) -> None:
    folder = make_environment(tmp_path)
    line = run_here("engines", "status", "--home", tmp_path).out.splitlines()[1]

    assert line.split() == ["torch", "ready", "torch", "2.13.0", str(folder)]


def test_installing_a_ready_environment_does_nothing(tmp_path: Path) -> None:
    folder = make_environment(tmp_path)

    assert run_here("engines", "install", "torch", "--home", tmp_path).out == (
        f"Environment 'torch' is ready in {folder}.\n"
    )


def test_removing_asks_unless_told_not_to(tmp_path: Path) -> None:
    folder = make_environment(tmp_path)
    asked = run_here("engines", "remove", "torch", "--home", tmp_path, stdin="n\n")
    kept = folder.exists()
    agreed = run_here("engines", "remove", "torch", "--home", tmp_path, "--yes")

    assert asked.code == 1
    assert kept
    assert agreed.code == 0
    assert not folder.exists()


def test_an_unknown_environment_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    outcome = run_here("engines", "install", "troch", "--home", tmp_path)

    assert outcome.code == 1
    assert "Did you mean 'torch'?" in outcome.err
