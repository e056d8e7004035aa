"""Worker processes that misbehave in every way are ended with a cause, and see none of the gateway's secrets."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from saker.core.errors import TooLarge, Unavailable
from saker.engine.messages import MAX_FRAME_BYTES, Embed, Ready, Report
from saker.fleet.base import Worker
from saker.fleet.launch import process
from saker.fleet.launch.connection import Connection
from saker.fleet.launch.process import ProcessLauncher
from support.fleets import SOURCE, is_running, make_spec, until

HEADER = f"""#!{sys.executable}
import os, signal, socket, struct, subprocess, sys, time
sys.path.insert(0, {str(SOURCE)!r})
from saker.engine.messages import Capabilities, Ready, pack
link = socket.socket(fileno=int(sys.argv[sys.argv.index("--fd") + 1]))
ready = pack(Ready("script", Capabilities(), 1, 0.0, dict(os.environ)))
"""


@dataclass
class Script:
    """A worker that runs a script of the test's own."""

    folder: Path
    launcher: ProcessLauncher = field(default_factory=ProcessLauncher)
    reports: list[Report] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    worker: Worker | None = None

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"

    async def launch(self, body: str, **spec: Any) -> Worker:
        program = self.folder / "python"
        program.write_text(HEADER + body)
        program.chmod(0o700)
        self.worker = await self.launcher.launch(
            make_spec(python=program, **spec), self.log, self.reports.append, self.ends.append
        )
        return self.worker

    async def end(self) -> str:
        await until(lambda: self.ends)
        return self.ends[0]


@pytest.fixture
async def script(tmp_path: Path) -> AsyncIterator[Script]:
    made = Script(tmp_path)
    yield made
    if made.worker is not None and not made.ends:
        made.worker.kill()
        await made.end()


async def test_a_worker_sees_the_allowed_part_of_the_environment_and_its_own(script: Script) -> None:
    script.launcher = ProcessLauncher(
        {"PATH": "/bin", "OMP_NUM_THREADS": "2", "HF_TOKEN": "secret", "SAKER_X": "secret"}
    )
    await script.launch(
        "link.sendall(ready); time.sleep(60)", environment={"MODEL_OPTION": "1"}, python_path=Path("/only/saker")
    )
    await until(lambda: script.reports)

    (ready,) = script.reports
    assert isinstance(ready, Ready)
    assert (
        ready.detail.items()
        >= {
            "PATH": "/bin",
            "OMP_NUM_THREADS": "2",
            "MODEL_OPTION": "1",
            "PYTHONPATH": "/only/saker",
            "PYTHONSAFEPATH": "1",
        }.items()
    )
    assert "secret" not in ready.detail.values()


async def test_a_worker_leads_a_session_of_its_own_out_of_the_terminals_reach(script: Script) -> None:
    await script.launch("print(os.getsid(0) == os.getpid())")
    await script.end()

    assert script.log.read_text() == "True\n"


async def test_output_goes_to_the_log_and_the_last_words_into_the_cause(script: Script) -> None:
    await script.launch("print('hello'); sys.exit('No module named saker')")

    assert await script.end() == "exited with status 1; its last words: 'No module named saker'"
    assert script.log.read_text() == "hello\nNo module named saker\n"


async def test_last_words_are_kept_to_the_log_once_the_worker_has_seen_a_prompt(script: Script) -> None:
    worker = await script.launch("link.sendall(ready); link.recv(1); sys.exit('secret prompt')")
    await until(lambda: script.reports)
    worker.send(Embed(1, ("secret prompt",)))

    assert await script.end() == "exited with status 1"


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        # not MessagePack of a report
        (
            "link.sendall(struct.pack('!I', 3) + b'abc'); time.sleep(60)",
            "was killed: it sent something that is no report",
        ),
        # longer than a frame may be
        ("link.sendall(b'\\xff' * 8); time.sleep(60)", "was killed: it sent something that is no report"),
        ("os.kill(os.getpid(), 11)", "was killed by signal 11 (SIGSEGV)"),
        ("os.kill(os.getpid(), 9)", "was killed by signal 9 (SIGKILL; the system may have run out of memory)"),
        ("os._exit(5)", "exited with status 5 (its engine failed in every step)"),
    ],
)
async def test_the_cause_of_an_end_is_named(script: Script, body: str, cause: str) -> None:
    await script.launch(body)

    assert cause == await script.end()


async def test_all_reports_arrive_before_the_end(script: Script) -> None:
    await script.launch("link.sendall(ready * 50); os._exit(0)")
    await script.end()

    assert len(script.reports) == 50


async def test_a_worker_that_hangs_up_and_goes_on_is_killed(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "HANG_UP_S", 0.05)
    await script.launch("link.close(); time.sleep(60)")

    assert await script.end() == "was killed: it hung up and went on running"


async def test_a_worker_that_ignores_sigterm_can_be_killed(script: Script) -> None:
    worker = await script.launch("signal.signal(15, signal.SIG_IGN); link.sendall(ready); time.sleep(60)")
    await until(lambda: script.reports)
    worker.terminate()
    assert is_running(worker.pid)

    worker.kill()

    assert await script.end() == "was killed by signal 9 (SIGKILL)"
    assert not is_running(worker.pid)


async def test_what_a_worker_started_ends_with_it(script: Script) -> None:
    await script.launch("print(subprocess.Popen(['sleep', '60']).pid); os._exit(0)")
    await script.end()

    child = int(script.log.read_text())
    await until(lambda: not is_running(child))


async def test_a_worker_that_stops_reading_is_killed(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection.__init__, "__defaults__", (1 << 20,))
    worker = await script.launch("link.sendall(ready); time.sleep(60)")
    await until(lambda: script.reports)
    for id in range(4):
        worker.send(Embed(id, ("x" * (1 << 20),)))

    assert await script.end() == "was killed: it stopped reading its commands"


async def test_a_command_that_fits_no_frame_is_refused_and_the_worker_goes_on(script: Script) -> None:
    worker = await script.launch("link.sendall(ready); time.sleep(60)")
    await until(lambda: script.reports)

    with pytest.raises(TooLarge, match=str(MAX_FRAME_BYTES)):
        worker.send(Embed(1, ("x" * MAX_FRAME_BYTES,)))
    assert is_running(worker.pid)


async def test_a_chatty_worker_is_slowed_and_its_output_kept(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "OUTPUT_BURST_BYTES", 1 << 16)
    await script.launch("for n in range(8): os.write(1, b'x' * (1 << 16))\nos.write(1, b'end')")
    started = asyncio.get_running_loop().time()
    await script.end()

    assert asyncio.get_running_loop().time() - started > 2 * process.OUTPUT_PAUSE_S
    assert script.log.read_bytes().endswith(b"end")


@pytest.mark.parametrize("python", [Path("/missing/python"), Path("/")])
async def test_a_process_that_cannot_start_is_unavailable_and_says_why(tmp_path: Path, python: Path) -> None:
    with pytest.raises(Unavailable, match=r"could not be started with .* Run `saker doctor`"):
        await ProcessLauncher().launch(make_spec(python=python), tmp_path / "a.log", print, print)


async def test_a_log_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="could not be started"):
        await ProcessLauncher().launch(make_spec(), tmp_path / "file" / "a.log", print, print)
