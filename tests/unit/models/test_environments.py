from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sys
from pathlib import Path

import pytest

from saker.core.errors import Conflict, InvalidInput, NotFound, Unavailable
from saker.models.environments import MARKER, EngineEnvironments, EnvironmentStatus, requirements_hash
from saker.models.installation import _progress_message

VERSIONS = {"torch": "2.13.0"}


@pytest.fixture
def environments(tmp_path: Path) -> EngineEnvironments:
    return EngineEnvironments(tmp_path / "engines", package=tmp_path / "saker")


def make(environments: EngineEnvironments, **marker: object) -> Path:
    path = environments.home / "torch"
    (path / "bin").mkdir(parents=True)
    (path / "bin" / "python").symlink_to(sys.executable)
    if marker:
        (path / MARKER).write_text(json.dumps(marker))
    return path


def test_an_environment_with_a_fitting_marker_is_ready(environments: EngineEnvironments) -> None:
    path = make(environments, requirements=requirements_hash("torch"), versions=VERSIONS)

    status = environments.status("torch")

    assert ("ready", VERSIONS) == (status.state, status.versions)
    assert path / "bin" / "python" == environments.python("torch")


def test_without_anything_it_is_missing(environments: EngineEnvironments) -> None:
    assert "missing" == environments.status("torch").state


def test_without_a_marker_it_is_incomplete(environments: EngineEnvironments) -> None:
    make(environments)

    assert "incomplete" == environments.status("torch").state


def test_without_its_python_it_is_incomplete(environments: EngineEnvironments) -> None:
    path = make(environments, requirements=requirements_hash("torch"))
    (path / "bin" / "python").unlink()

    assert "incomplete" == environments.status("torch").state


def test_made_for_other_requirements_it_is_outdated(environments: EngineEnvironments) -> None:
    make(environments, requirements="other")

    assert "outdated" == environments.status("torch").state


def test_what_is_not_ready_names_the_command(environments: EngineEnvironments) -> None:
    with pytest.raises(Unavailable, match=r"It is missing .*`saker engines install torch`"):
        environments.python("torch")


def test_an_unknown_name_is_corrected(environments: EngineEnvironments) -> None:
    with pytest.raises(NotFound, match="Did you mean 'torch'"):
        environments.status("toch")


def test_engines_run_in_the_servers_environment_or_in_their_own(environments: EngineEnvironments) -> None:
    path = make(environments, requirements=requirements_hash("torch"))

    assert (Path(sys.executable), None) == environments.interpreter("genai")
    assert (path / "bin" / "python", environments.python_path()) == environments.interpreter("transformers")


def test_the_python_path_holds_nothing_but_the_running_package(
    environments: EngineEnvironments, tmp_path: Path
) -> None:
    folder = environments.python_path()

    assert folder == environments.python_path()
    assert ["saker"] == os.listdir(folder)
    assert tmp_path / "saker" == (folder / "saker").readlink()
    assert folder != EngineEnvironments(environments.home, package=tmp_path / "other").python_path()


def test_removing_takes_the_environment_away_and_may_be_repeated(environments: EngineEnvironments) -> None:
    make(environments, requirements=requirements_hash("torch"))

    environments.remove("torch")
    environments.remove("torch")

    assert "missing" == environments.status("torch").state


def test_removing_a_link_leaves_what_it_leads_to(environments: EngineEnvironments, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    environments.home.mkdir()
    (environments.home / "torch").symlink_to(tmp_path / "real")

    environments.remove("torch")

    assert (tmp_path / "real").is_dir()
    assert "missing" == environments.status("torch").state


async def test_two_installations_at_once_conflict(environments: EngineEnvironments) -> None:
    environments.home.mkdir()
    with (environments.home / "torch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        with pytest.raises(Conflict, match="another process"):
            await environments.install("torch", lambda p: None)


async def test_what_is_ready_is_not_installed_again(environments: EngineEnvironments) -> None:
    make(environments, requirements=requirements_hash("torch"), versions=VERSIONS)

    assert "ready" == (await environments.install("torch", lambda p: None)).state


async def test_pip_arguments_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    environments = EngineEnvironments(tmp_path, pip_args="--index-url 'x")

    with pytest.raises(InvalidInput, match="'pip_args'"):
        await environments.install("torch", lambda p: None)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Collecting torch<2.14,>=2.13\n", "Collecting torch<2.14,>=2.13"),
        ("  Downloading https://host/a/torch-2.13.whl (190 MB)\n", "Downloading torch-2.13.whl (190 MB)"),
        ("Installing collected packages: a, b\n", "Unpacking"),
        ("Requirement already satisfied: x\n", ""),
    ],
)
def test_pips_output_becomes_progress(line: str, expected: str) -> None:
    assert expected == _progress_message(line)


@pytest.mark.real
async def test_an_installation_that_fails_says_why_and_counts_as_incomplete(tmp_path: Path) -> None:
    environments = EngineEnvironments(tmp_path, pip_args="--no-such-option")

    with pytest.raises(Unavailable, match=r"pip could not install.*no such option.*SAKER_PIP_ARGS"):
        await environments.install("torch", lambda p: None)

    assert "incomplete" == environments.status("torch").state


async def test_on_demand_it_is_installed_once_for_all_who_need_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments = EngineEnvironments(tmp_path, installs_on_demand=True)
    installed: list[str] = []

    async def install(name: str, _progress: object) -> EnvironmentStatus:
        await asyncio.sleep(0)
        installed.append(name)
        make(environments, requirements=requirements_hash(name))
        return environments.status(name)

    monkeypatch.setattr(environments, "install", install)

    await asyncio.gather(*(environments.ensure("torch", lambda _: None) for _ in range(3)))
    await environments.ensure("torch", lambda _: None)

    assert ["torch"] == installed


async def test_where_that_is_not_allowed_a_person_is_told_what_to_do(environments: EngineEnvironments) -> None:
    await environments.ensure("torch", lambda _: None)

    with pytest.raises(Unavailable, match="saker engines install torch"):
        environments.python("torch")
