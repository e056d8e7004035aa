"""Real worker processes die, hang and are replaced; requests are lost only where that cannot be helped."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from saker.core.errors import Unavailable
from saker.engine.base import EngineOptions
from saker.fleet import Fleet, Replica
from saker.fleet.base import Limits, ReplicaSpec, Wanted
from saker.fleet.launch.process import ProcessLauncher
from support.fleets import KEY, SOURCE, is_running, make_request, make_spec, until, write_fake_model

LIMITS = Limits(start_timeout_s=20, drain_timeout_s=20, stop_grace_s=0.5)
PROMPT = " ".join(f"word{number}" for number in range(20))


@dataclass
class Setup:
    fleet: Fleet
    folder: Path

    def spec(self, name: str = "model", **model: object) -> ReplicaSpec:
        return make_spec(options=EngineOptions(write_fake_model(self.folder / name, **model)))

    async def bring_up(self, count: int, spec: ReplicaSpec) -> list[Replica]:
        self.fleet.want(KEY, Wanted(spec, count))
        await until(lambda: self.fleet.status(KEY).ready == count)
        return list(self.fleet.replicas(KEY))


@pytest.fixture
async def setup(tmp_path: Path) -> AsyncIterator[Setup]:
    fleet = Fleet(ProcessLauncher(), tmp_path / "logs", LIMITS)
    await fleet.start()
    yield Setup(fleet, tmp_path)
    await fleet.close()


async def answer(replica: Replica) -> str:
    chunks = await replica.collect(make_request(PROMPT, max_new_tokens=50))
    return "".join(chunk.text for chunk in chunks)


async def test_a_killed_worker_loses_only_its_running_requests_and_the_next_is_served(setup: Setup) -> None:
    first, second = await setup.bring_up(2, setup.spec(delay_s=0.02))
    lost, kept = asyncio.ensure_future(answer(first)), asyncio.ensure_future(answer(second))
    await until(lambda: first.in_flight and second.in_flight)
    os.kill(first.pid, signal.SIGKILL)

    with pytest.raises(Unavailable, match="was killed by signal 9"):
        await lost
    assert PROMPT == await kept
    await until(lambda: setup.fleet.status(KEY).ready == 2)
    assert [PROMPT, PROMPT] == [await answer(replica) for replica in setup.fleet.replicas(KEY)]
    assert setup.fleet.status(KEY).restarts == 1


async def test_a_changed_spec_loses_no_request_under_load(setup: Setup) -> None:
    await setup.bring_up(2, setup.spec("old", delay_s=0.002))
    is_over = False
    answers: list[str] = []

    async def client() -> None:
        while not is_over:
            replica = min(setup.fleet.replicas(KEY), key=lambda replica: replica.in_flight)
            answers.append(await answer(replica))

    clients = [asyncio.ensure_future(client()) for _ in range(16)]
    await until(lambda: len(answers) > 16)
    old = set(setup.fleet.replicas(KEY))
    setup.fleet.want(KEY, Wanted(setup.spec("new", delay_s=0.001), 2))
    await until(lambda: setup.fleet.status(KEY).ready == 2 and not old & set(setup.fleet.replicas(KEY)))
    await until(lambda: setup.fleet.status(KEY).draining == 0)
    is_over = True
    await asyncio.gather(*clients)

    assert {PROMPT} == set(answers)
    assert setup.fleet.status(KEY).restarts == 0


async def test_a_worker_that_does_not_end_when_asked_is_killed(setup: Setup) -> None:
    """A stopped process cannot act on SIGTERM; only SIGKILL ends it."""
    (replica,) = await setup.bring_up(1, setup.spec())
    pid = replica.pid
    os.kill(pid, signal.SIGSTOP)
    setup.fleet.forget(KEY)
    await until(lambda: not setup.fleet.keys())

    assert not is_running(pid)


async def test_closing_leaves_no_process_not_even_one_that_loads(setup: Setup) -> None:
    replicas = await setup.bring_up(2, setup.spec())
    pids = [replica.pid for replica in replicas]
    os.kill(pids[0], signal.SIGSTOP)
    setup.fleet.want(KEY._replace(endpoint="slow"), Wanted(setup.spec("slow", load_s=60), 1))
    await until(lambda: setup.fleet.status(KEY._replace(endpoint="slow")).starting == 1)
    await setup.fleet.close()

    assert not any(map(is_running, pids))
    assert [] == children()


async def test_a_worker_that_crashes_while_loading_fails_the_set_with_the_cause(setup: Setup) -> None:
    setup.fleet.want(KEY, Wanted(setup.spec(exit_on_load=7), 1))
    await until(lambda: setup.fleet.status(KEY).failure, within_s=20)

    failure = setup.fleet.status(KEY).failure
    assert failure is not None
    assert "it exited with status 7" in failure.what
    assert len(setup.fleet.log_files("demo")) == LIMITS.start_attempts


def test_workers_are_started_replaced_and_stopped_on_uvloop_too(tmp_path: Path) -> None:
    """The gateway's own event loop; the other tests run on asyncio's."""
    uvloop = pytest.importorskip("uvloop")

    async def live() -> None:
        fleet = Fleet(ProcessLauncher(), tmp_path / "logs", LIMITS)
        await fleet.start()
        setup = Setup(fleet, tmp_path)
        (replica,) = await setup.bring_up(1, setup.spec(delay_s=0.02))
        lost = asyncio.ensure_future(answer(replica))
        await until(lambda: replica.in_flight)
        os.kill(replica.pid, signal.SIGKILL)
        with pytest.raises(Unavailable, match="was killed by signal 9"):
            await lost
        await fleet.wait_ready([KEY], 10)
        assert PROMPT == await answer(fleet.replicas(KEY)[0])
        os.kill(fleet.replicas(KEY)[0].pid, signal.SIGSTOP)
        await fleet.close()
        assert [] == children()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(live())


GATEWAY = """
import asyncio, importlib, sys
from pathlib import Path
from saker.engine.base import EngineOptions
from saker.fleet import Fleet
from saker.fleet.base import ReplicaSpec, SetKey, Wanted
from saker.fleet.launch.process import ProcessLauncher

async def main(folder):
    fleet = Fleet(ProcessLauncher(), folder / "logs")
    await fleet.start()
    ready, slow = SetKey("ready", "d", "v"), SetKey("slow", "d", "v")
    for key in (ready, slow):
        options = EngineOptions(str(folder / key.endpoint))
        fleet.want(key, Wanted(ReplicaSpec("fake", options, Path(sys.executable)), 1))
    await fleet.wait_ready([ready], 10)
    print("up", flush=True)
    await asyncio.sleep(60)

importlib.import_module(sys.argv[2]).run(main(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_killed_gateway_leaves_no_worker_not_even_one_that_loads(tmp_path: Path, loop: str) -> None:
    write_fake_model(tmp_path / "ready")
    write_fake_model(tmp_path / "slow", load_s=60)
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(
        [sys.executable, "-c", GATEWAY, str(tmp_path), loop], stdout=subprocess.PIPE, env=environment
    ) as gateway:
        try:
            assert gateway.stdout is not None
            assert gateway.stdout.readline() == b"up\n"
            asyncio.run(until(lambda: len(children(gateway.pid)) == 2))
            workers = children(gateway.pid)
        finally:
            gateway.kill()

    asyncio.run(until(lambda: not any(map(is_running, workers)), within_s=2))


def children(pid: int = 0) -> list[int]:
    """The worker processes below a process; 0 is this one."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
            command = stat.with_name("cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == (pid or os.getpid()) and fields[0] != "Z" and b"saker.engine.worker" in command:
            found.append(int(stat.parent.name))
    return found
