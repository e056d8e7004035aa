"""What points clients at the platform."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from saker.access.credentials import RootCredentials, read_root
from saker.cli.env import SHELLS, UNSET, make_variables
from saker.settings import load
from saker.storage.lock import FolderLock
from support.command_line import clean_environment, run_here, write_credentials

AWKWARD = """a b'c"d\\e$f`g"""
"""A value that every shell would take apart if it were not quoted."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data folder with credentials, as a first start leaves it."""
    return write_credentials(tmp_path / "home")


def test_the_variables_are_those_that_clients_read() -> None:
    root = RootCredentials("000000000000", "AKIA1", "secret", "sk-saker-1")

    assert {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:8751",
        "AWS_ACCESS_KEY_ID": "AKIA1",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "OPENAI_BASE_URL": "http://127.0.0.1:8751/v1",
        "OPENAI_API_KEY": "sk-saker-1",
    } == make_variables(load({"port": 8751}, {}), root)


def test_bash_takes_the_output_and_forgets_what_would_win(home: Path) -> None:
    script = run_here("env", "--home", home).out + "\nenv -0"
    environ = clean_environment() | {"AWS_PROFILE": "other", "AWS_SESSION_TOKEN": "old"}
    result = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, check=True)
    found = dict(line.split("=", 1) for line in result.stdout.split("\0") if line)
    root = read_root(home / "credentials")

    assert root is not None
    assert found["AWS_SECRET_ACCESS_KEY"] == root.secret_access_key
    assert found["OPENAI_API_KEY"] == root.bearer_key
    assert not set(UNSET) & set(found)


def test_awkward_values_reach_bash_whole() -> None:
    script = "\n".join(SHELLS["sh"]({"X": AWKWARD})) + '\nprintf %s "$X"'

    assert subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout == AWKWARD


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        ("fish", """set -gx X 'a b\\'c"d\\\\e$f`g'"""),
        ("powershell", """$env:X = 'a b''c"d\\e$f`g'"""),
        ("dotenv", """X='a b\\'c"d\\\\e$f`g'"""),
    ],
)
def test_awkward_values_are_quoted_for_each_shell(shell: str, expected: str) -> None:
    assert expected == SHELLS[shell]({"X": AWKWARD})[-1]


def test_plain_values_of_an_env_file_have_no_quotes() -> None:
    assert SHELLS["dotenv"]({"URL": "http://[::1]:8750/v1", "KEY": "sk-saker-a_b"})[-1] == "KEY=sk-saker-a_b"


def test_json_says_null_where_a_variable_must_not_be_set(home: Path) -> None:
    found = json.loads(run_here("env", "--home", home, "--json").out)

    assert found["AWS_REGION"] == "us-east-1"
    assert found["AWS_PROFILE"] is None


def test_a_stopped_platform_is_noted_beside_the_output(home: Path) -> None:
    outcome = run_here("env", "--home", home)

    assert outcome.code == 0
    assert "does not run" in outcome.err
    assert "does not run" not in outcome.out


def test_the_port_is_that_of_the_platform_that_holds_the_folder(home: Path) -> None:
    with FolderLock(home).acquire(port=8799):
        held = run_here("env", "--home", home)
        named = run_here("env", "--home", home, "--port", 8701)

    assert "AWS_ENDPOINT_URL=http://127.0.0.1:8799\n" in held.out
    assert held.err == ""
    assert "AWS_ENDPOINT_URL=http://127.0.0.1:8701\n" in named.out


def test_a_folder_without_credentials_prints_nothing_to_evaluate(tmp_path: Path) -> None:
    outcome = run_here("env", "--home", tmp_path)

    assert outcome.code == 1
    assert outcome.out == ""
    assert "Fix: Start one: saker up --detach." in outcome.err


def test_credentials_that_others_can_read_are_refused(home: Path) -> None:
    (home / "credentials").chmod(0o644)
    outcome = run_here("env", "--home", home)

    assert outcome.code == 1
    assert f"Fix: Run: chmod 600 {home / 'credentials'}" in outcome.err
