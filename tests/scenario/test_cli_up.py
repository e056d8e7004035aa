"""Starting and stopping a platform from the command line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from saker.storage.lock import FolderLock
from support.command_line import TIMEOUT_S, Outcome, clean_environment, run_process


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def running(home: Path, *options: str) -> Iterator[Outcome]:
    """A platform in the background, without the embedded model."""
    started = run_process("up", "--detach", "--home", home, "--port", "0", "--no-demo", *options)
    try:
        yield started
    finally:
        stopped = run_process("down", "--home", home)
        assert stopped.code == 0, stopped.err


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a platform in the background."""
    folder = tmp_path_factory.mktemp("up") / "home"
    with running(folder) as started:
        assert started.code == 0, started.err
        yield folder


def test_a_platform_in_the_background_is_found_by_its_folder_alone(home: Path) -> None:
    holder = FolderLock(home).holder()
    status = json.loads(run_process("status", "--home", home, "--json").out)

    assert holder is not None
    assert (status["pid"], status["url"]) == (holder.pid, f"http://127.0.0.1:{holder.port}")
    assert status["home"] == str(home)


def test_the_start_says_what_to_type_next_with_the_folder(tmp_path: Path) -> None:
    with running(tmp_path / "other") as started:
        assert f'saker env --home {tmp_path / "other"})"' in started.out
        assert str(tmp_path / "other" / "logs" / "saker.log") in started.err
    assert "serving on" in (tmp_path / "other" / "logs" / "saker.log").read_text()


def test_a_second_start_names_who_holds_the_folder(home: Path) -> None:
    holder = FolderLock(home).holder()
    assert holder is not None
    for options in ((), ("--detach",)):
        outcome = run_process("up", "--home", home, *options)

        assert outcome.code == 1
        assert f"A platform runs with data folder {str(home)!r} already." in outcome.err
        assert f"It has process id {holder.pid} and port {holder.port}." in outcome.err


def test_a_port_in_use_by_another_platform_is_named_with_its_folder(home: Path, tmp_path: Path) -> None:
    holder = FolderLock(home).holder()
    assert holder is not None
    outcome = run_process("up", "--home", tmp_path, "--port", holder.port)

    assert outcome.code == 1
    assert f"A platform with data folder {str(home)!r} listens on it (process id {holder.pid})." in outcome.err


def test_the_keys_of_another_folder_are_not_taken(home: Path, tmp_path: Path) -> None:
    holder = FolderLock(home).holder()
    assert holder is not None
    with running(tmp_path):
        for command in (("status",), ("endpoints",)):
            outcome = run_process(*command, "--home", tmp_path, "--port", holder.port)

            assert outcome.code == 1
            assert "does not know the keys" in outcome.err


def test_a_shell_with_the_environment_reaches_the_platform(home: Path) -> None:
    script = (
        f'eval "$({sys.executable} -m saker env --home {home})" && {sys.executable} -c "'
        "import botocore.session; print(botocore.session.get_session().create_client('sagemaker').list_endpoints()"
        "['Endpoints'])\""
    )
    environ = clean_environment() | {"AWS_PROFILE": "missing"}
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environ, check=False)

    assert result.stdout == "[]\n", result.stderr


def test_doctor_finds_a_running_platform_in_order(home: Path) -> None:
    outcome = run_process("doctor", "--home", home, "--offline", "--json")
    states = {finding["name"]: finding["state"] for finding in json.loads(outcome.out)}

    assert [states[name] for name in ("Platform", "Clock", "Port", "Credentials", "Data folder")] == ["ok"] * 5


def test_stopping_what_does_not_run_is_no_error(tmp_path: Path) -> None:
    outcome = run_process("down", "--home", tmp_path)

    assert outcome.code == 0
    assert "No platform runs" in outcome.out


def test_status_of_what_does_not_run_fails(tmp_path: Path) -> None:
    outcome = run_process("status", "--home", tmp_path, "--json")

    assert outcome.code == 1
    assert json.loads(outcome.out)["is_running"] is False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_it_logs_until_a_signal_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "saker", "up", "--home", str(tmp_path), "--port", "0", "--no-demo"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=clean_environment()) as process:
        assert process.stderr is not None
        try:
            line = next(line for line in process.stderr if "serving on" in line)
            process.send_signal(number)
            rest = process.stderr.read()
            code = process.wait(TIMEOUT_S)
        finally:
            process.kill()

    assert str(tmp_path) in line
    assert code == 0
    assert "Traceback" not in rest
    assert FolderLock(tmp_path).holder() is None


def test_a_start_that_fails_shows_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_text("this is no database, and long enough to be looked at by SQLite as one")
    outcome = run_process("up", "--detach", "--home", tmp_path, "--port", "0")

    assert outcome.code == 1
    assert "Error: The platform did not start." in outcome.err
    assert "state.db" in outcome.err
    assert FolderLock(tmp_path).holder() is None


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """Root obeys a folder's mode too, once it has given up the right to override it."""
    plain = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [*plain, sys.executable, "-m", "saker", "up", "--home", str(tmp_path), "--port", str(free_port())]
    tmp_path.chmod(0o500)

    outcome = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_environment(), check=False)
    tmp_path.chmod(0o700)

    assert outcome.returncode == 1
    assert str(tmp_path) in outcome.stderr
    assert "Permission denied" in outcome.stderr
    assert "Fix:" in outcome.stderr
    assert [] == list(tmp_path.iterdir())


def test_a_killed_platform_leaves_a_folder_that_starts_again(tmp_path: Path) -> None:
    with running(tmp_path):
        holder = FolderLock(tmp_path).holder()
        assert holder is not None
        os.kill(holder.pid, signal.SIGKILL)
        again = run_process("up", "--detach", "--home", tmp_path, "--port", "0", "--no-demo")

        assert again.code == 0, again.err
