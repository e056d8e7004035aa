from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from saker.core.errors import DeadlineExceeded, Internal, NotFound, Unavailable
from saker.models.base import Progress
from saker.models.process import HelperProcess, public_environment

TESTS = Path(__file__).parents[2]


def helper(tmp_path: Path, timeout_s: float = 60.0, **request: Any) -> HelperProcess:
    return HelperProcess(
        what="The work",
        python=Path(sys.executable),
        module="support.helper_module",
        request=request,
        log=tmp_path / "logs" / "helper.log",
        timeout_s=timeout_s,
        environment=public_environment({"PYTHONPATH": str(TESTS)}),
    )


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and is not yet reaped does not."""
    try:
        return "Z" != Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until_dead(*pids: int) -> None:
    deadline = time.monotonic() + 20
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline, f"{pids} are still alive"
        time.sleep(0.01)


async def test_the_result_comes_back_and_prints_go_to_the_log(tmp_path: Path) -> None:
    heard: list[Progress] = []

    assert {"echo": [1, "ä"]} == await helper(tmp_path, do="answer", value=[1, "ä"]).run(heard.append)
    assert [Progress("convert", "at work", 1, 2, "steps")] == heard
    assert "a library talks" in (tmp_path / "logs" / "helper.log").read_text()


async def test_a_refusal_keeps_its_class_and_its_three_parts(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        await helper(tmp_path, do="refuse").run(lambda p: None)

    assert ("No such thing.", "It never was.", "Look elsewhere.") == (
        caught.value.what,
        caught.value.why,
        caught.value.fix,
    )


async def test_a_fault_names_its_log(tmp_path: Path) -> None:
    with pytest.raises(Internal, match=r"The work failed\. ZeroDivisionError.*helper\.log"):
        await helper(tmp_path, do="break").run(lambda p: None)

    assert "Traceback" in (tmp_path / "logs" / "helper.log").read_text()


async def test_a_killed_process_suggests_that_memory_ran_out(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="ran out of memory"):
        await helper(tmp_path, do="die").run(lambda p: None)


async def test_an_end_without_a_result_tells_the_status(tmp_path: Path) -> None:
    with pytest.raises(Internal, match="status 3"):
        await helper(tmp_path, do="exit").run(lambda p: None)


async def test_past_its_time_the_process_and_its_children_are_killed(tmp_path: Path) -> None:
    heard: list[Progress] = []
    with pytest.raises(DeadlineExceeded, match="limit is 3 s"):
        await helper(tmp_path, timeout_s=3.0, do="hang").run(heard.append)

    wait_until_dead(*map(int, heard[-1].message.split()))


async def test_cancelling_kills_the_process_and_its_children(tmp_path: Path) -> None:
    heard: asyncio.Queue[Progress] = asyncio.Queue()
    task = asyncio.create_task(helper(tmp_path, do="hang").run(heard.put_nowait))
    _, told = await heard.get(), await heard.get()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    wait_until_dead(*map(int, told.message.split()))


def test_with_a_killed_parent_the_process_and_its_children_end(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys, pathlib\nfrom saker.models.process import HelperProcess, public_environment\n"
        "asyncio.run(HelperProcess('w', pathlib.Path(sys.executable), 'support.helper_module', {'do': 'hang'},"
        " pathlib.Path(sys.argv[1]), 60.0, public_environment({'PYTHONPATH': sys.argv[2]})"
        ").run(lambda p: print(p.message, flush=True)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "log"), str(TESTS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        os.kill(parent.pid, 9)

    wait_until_dead(*pids)


def test_helpers_do_not_see_secrets_of_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAKER_ROOT_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")

    environment = public_environment({"MORE": "1"})

    assert "s" not in environment.values()
    assert ("http://proxy", "1") == (environment["HTTPS_PROXY"], environment["MORE"])


def test_a_request_does_not_show_in_the_representation(tmp_path: Path) -> None:
    assert "hf_x" not in repr(helper(tmp_path, token="hf_x"))
