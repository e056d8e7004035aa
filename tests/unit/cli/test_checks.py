"""What `saker doctor` looks at."""

from __future__ import annotations

import os
import resource
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from saker.cli.checks import CHECKS, Check, Context, Finding
from saker.cli.checks.engines import engine_environments
from saker.cli.checks.folder import credentials_file, data_folder
from saker.cli.checks.machine import disk, free_memory, memory, open_files, port, python
from saker.cli.checks.network import hub
from saker.cli.checks.platform import clock, platform
from saker.cli.checks.shell import client_environment
from saker.cli.client import Client
from saker.settings import load
from saker.storage.lock import FolderLock, LockHolder
from support.command_line import run_here, write_credentials

MakeContext = Callable[..., Context]


@pytest.fixture
def make_context(tmp_path: Path) -> MakeContext:
    """Builds a context around a data folder of the test's own."""

    def make(
        home: Path | None = None,
        holder: LockHolder | None = None,
        environ: dict[str, str] | None = None,
        **settings: object,
    ) -> Context:
        loaded = load({"home": home or tmp_path / "home", "port": 0, **settings}, {})
        return Context(loaded, Client(loaded), holder, environ or {}, is_offline=False)

    return make


def only(check: Check, context: Context) -> Finding:
    """The one finding of a check."""
    (finding,) = check(context)
    return finding


def test_this_python_is_fit(make_context: MakeContext) -> None:
    assert only(python, make_context()).state == "ok"


def test_this_machine_has_memory_disk_and_files_to_tell_of(make_context: MakeContext) -> None:
    for check in (memory, disk, open_files):
        assert "iB" in only(check, make_context()).text or "up to" in only(check, make_context()).text


def test_free_memory_is_read_as_the_kernel_writes_it(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  100 kB\nMemAvailable:     12 kB\n")

    assert free_memory(tmp_path / "meminfo") == 12 * 1024
    assert free_memory(tmp_path / "nothing") is None


def test_few_open_files_are_warned_of_with_the_command(make_context: MakeContext) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
    try:
        finding = only(open_files, make_context())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert finding.state == "warn"
    assert "ulimit -n" in finding.fix or "limits.conf" in finding.fix


def test_a_folder_that_can_be_made_is_fine(make_context: MakeContext, tmp_path: Path) -> None:
    assert only(data_folder, make_context(tmp_path / "a" / "b")).state == "ok"


def test_a_file_in_the_place_of_the_folder_fails(make_context: MakeContext, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert only(data_folder, make_context(tmp_path / "file")).state == "fail"


def test_a_folder_that_others_can_change_is_warned_of(make_context: MakeContext, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    finding = only(data_folder, make_context(tmp_path))

    assert (finding.state, finding.fix) == ("warn", f"Run: chmod 700 {tmp_path}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_fails(make_context: MakeContext, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    states = (only(data_folder, make_context(tmp_path)).state, only(data_folder, make_context(tmp_path / "x")).state)
    tmp_path.chmod(0o700)

    assert states == ("fail", "fail")


def test_missing_credentials_are_fine_before_the_first_start(make_context: MakeContext) -> None:
    assert only(credentials_file, make_context()).state == "ok"
    assert only(credentials_file, make_context(holder=LockHolder(1, 1))).state == "fail"


@pytest.mark.parametrize(("mode", "state"), [(0o600, "ok"), (0o640, "fail")])
def test_credentials_are_for_their_owner_only(make_context: MakeContext, tmp_path: Path, mode: int, state: str) -> None:
    (write_credentials(tmp_path) / "credentials").chmod(mode)

    assert only(credentials_file, make_context(tmp_path)).state == state


def test_damaged_credentials_fail(make_context: MakeContext, tmp_path: Path) -> None:
    (write_credentials(tmp_path) / "credentials").write_text("{")

    assert only(credentials_file, make_context(tmp_path)).state == "fail"


def test_a_port_in_use_fails_and_names_who_has_it(make_context: MakeContext) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        finding = only(port, make_context(port=server.getsockname()[1]))

    assert finding.state == "fail"
    assert str(os.getpid()) in finding.text
    assert "--port" in finding.fix


def test_a_platform_that_does_not_run_is_a_warning(make_context: MakeContext) -> None:
    assert only(platform, make_context()).fix == "Start it: saker up --detach"
    assert list(clock(make_context())) == []


def test_a_platform_that_holds_its_folder_and_does_not_answer_fails(make_context: MakeContext, tmp_path: Path) -> None:
    with FolderLock(write_credentials(tmp_path)).acquire(port=1) as lock:
        finding = only(platform, make_context(tmp_path, holder=lock.holder()))

    assert finding.state == "fail"
    assert "did not answer" in finding.text


def test_the_hub_may_be_away(make_context: MakeContext) -> None:
    finding = only(hub, make_context(hf_endpoint="http://127.0.0.1:1"))

    assert finding.state == "warn"
    assert "HF_ENDPOINT" in finding.fix


def test_the_hub_must_have_a_web_address(make_context: MakeContext) -> None:
    assert only(hub, make_context(hf_endpoint="file:///etc/passwd")).state == "fail"


@pytest.mark.parametrize(
    ("environ", "state", "text"),
    [
        ({}, "ok", "saker env"),
        ({"AWS_PROFILE": "work"}, "warn", "AWS_PROFILE would win"),
        ({"AWS_ENDPOINT_URL_S3": "http://x"}, "warn", "AWS_ENDPOINT_URL_S3 would win"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "warn", "AWS_ENDPOINT_URL is http://127.0.0.1:1"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:8777/"}, "ok", "pointed at the platform"),
    ],
)
def test_variables_that_keep_clients_away_are_found(
    make_context: MakeContext, environ: dict[str, str], state: str, text: str
) -> None:
    finding = only(client_environment, make_context(environ=environ, port=8777))

    assert finding.state == state
    assert text in finding.text


def test_engines_are_imported_or_named_as_missing(make_context: MakeContext) -> None:
    findings = {finding.name: finding for finding in engine_environments(make_context())}

    assert findings["Engine transformers"].fix == "saker engines install torch"
    assert sys.executable in findings["Engine genai"].fix or findings["Engine genai"].state == "ok"


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """The findings that doctor makes, in place of its own."""
    findings: list[Finding] = []
    monkeypatch.setattr("saker.cli.checks.CHECKS", (lambda context: iter(findings),))
    return findings


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("warn", 0), ("fail", 1)])
@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_only_what_fails_fails_the_command(
    failing: list[Finding], tmp_path: Path, state: str, code: int, as_json: tuple[str, ...]
) -> None:
    failing.append(Finding("Thing", state, "It is so.", "Do this."))  # type: ignore[arg-type]  # one of the three
    outcome = run_here("doctor", "--home", tmp_path, *as_json)

    assert outcome.code == code
    assert "It is so." in outcome.out
    assert "Do this." in outcome.out


def test_every_check_is_shown() -> None:
    assert {
        *(python, memory, disk, open_files, data_folder, credentials_file),
        *(port, platform, clock, engine_environments, hub, client_environment),
    } == set(CHECKS)
