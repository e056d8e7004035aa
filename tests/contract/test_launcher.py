"""What every launcher must do, in memory or with processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from saker.engine.base import EngineOptions
from saker.engine.messages import (
    Cancel,
    Command,
    Embed,
    Embedded,
    Failed,
    Generate,
    GenerateRequest,
    Ready,
    Report,
    Step,
    Unfit,
)
from saker.fleet.base import Launcher, Worker
from saker.fleet.launch.memory import MemoryLauncher
from saker.fleet.launch.process import ProcessLauncher
from support.fleets import make_spec, until, write_fake_model


@dataclass
class Launched:
    """A worker and all that it called back."""

    worker: Worker | None = None
    reports: list[Report] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)

    def send(self, command: Command) -> None:
        assert self.worker is not None
        self.worker.send(command)

    async def ready(self) -> None:
        await until(lambda: self.reports)
        assert isinstance(self.reports[0], Ready)

    async def end(self) -> str:
        await until(lambda: self.ends)
        return self.ends[0]

    def text(self, id: int) -> str:
        steps = [report for report in self.reports if isinstance(report, Step)]
        return "".join(chunk.text for step in steps for chunk in step.chunks if chunk.id == id)


class Workers:
    """Launches workers that are gone after the test."""

    def __init__(self, launcher: Launcher, folder: Path) -> None:
        self._launcher = launcher
        self._folder = folder
        self._all: list[Launched] = []

    async def launch(self, **model: object) -> Launched:
        spec = make_spec(options=EngineOptions(write_fake_model(self._folder / "model", **model)))
        launched = Launched()
        self._all.append(launched)
        log = self._folder / "logs" / f"{len(self._all)}.log"
        launched.worker = await self._launcher.launch(spec, log, launched.reports.append, launched.ends.append)
        assert not launched.reports, "nothing is called back before launch has returned"
        return launched

    async def close(self) -> None:
        for launched in self._all:
            if launched.worker is not None:
                launched.worker.kill()
                await launched.end()


@pytest.fixture(params=[MemoryLauncher, ProcessLauncher])
async def workers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Workers]:
    made = Workers(request.param(), tmp_path)
    yield made
    await made.close()


async def test_a_worker_reports_ready_and_answers(workers: Workers) -> None:
    launched = await workers.launch()
    await launched.ready()
    launched.send(Generate(1, GenerateRequest(prompt="one two", max_new_tokens=9)))
    launched.send(Generate(2, GenerateRequest(prompt="three four", max_new_tokens=9, stream=True)))
    launched.send(Embed(3, ("five",)))
    await until(lambda: launched.text(1) and launched.text(2) == "three four")

    assert launched.text(1) == "one two"
    assert any(isinstance(report, Embedded) and report.id == 3 for report in launched.reports)


async def test_a_request_that_is_refused_fails_alone(workers: Workers) -> None:
    launched = await workers.launch()
    await launched.ready()
    launched.send(Generate(1, GenerateRequest(prompt="one", max_new_tokens=0)))
    launched.send(Generate(2, GenerateRequest(prompt="two", max_new_tokens=5)))
    await until(lambda: launched.text(2))

    (failed,) = [report for report in launched.reports if isinstance(report, Failed)]
    assert (1, "InvalidInput") == (failed.id, failed.error)


async def test_a_cancelled_request_is_heard_of_no_more(workers: Workers) -> None:
    launched = await workers.launch(commands=True)
    await launched.ready()
    launched.send(Generate(1, GenerateRequest(prompt="__hang__", max_new_tokens=5)))
    launched.send(Cancel(1))
    launched.send(Cancel(99))
    launched.send(Generate(2, GenerateRequest(prompt="two", max_new_tokens=5)))
    await until(lambda: launched.text(2))

    assert launched.text(1) == ""


async def test_an_engine_that_fails_in_a_step_fails_the_running_requests_and_goes_on(workers: Workers) -> None:
    launched = await workers.launch(commands=True)
    await launched.ready()
    launched.send(Generate(1, GenerateRequest(prompt="__error__", max_new_tokens=5)))
    await until(lambda: len(launched.reports) > 1)
    launched.send(Generate(2, GenerateRequest(prompt="two", max_new_tokens=5)))
    await until(lambda: launched.text(2))

    (failed,) = [report for report in launched.reports if isinstance(report, Failed)]
    assert (1, "EngineFailure") == (failed.id, failed.error)


async def test_an_unfit_model_is_reported_before_the_end(workers: Workers) -> None:
    launched = await workers.launch(fail="This model is broken.")
    cause = await launched.end()

    assert [Unfit("This model is broken.", "", "Change 'fail' in fake.json.")] == launched.reports
    assert cause.startswith("exited with status 3 (it cannot serve this model)")


async def test_a_worker_ends_when_asked_even_twice(workers: Workers) -> None:
    launched = await workers.launch()
    await launched.ready()
    assert launched.worker is not None
    launched.worker.terminate()
    launched.worker.terminate()

    assert await launched.end() == "exited with status 0"


async def test_a_killed_worker_says_so_once(workers: Workers) -> None:
    launched = await workers.launch()
    await launched.ready()
    assert launched.worker is not None
    launched.worker.kill()
    launched.worker.kill()
    await launched.end()
    await asyncio.sleep(0)

    assert ["was killed by signal 9 (SIGKILL)"] == launched.ends


async def test_commands_after_the_end_do_nothing(workers: Workers) -> None:
    launched = await workers.launch()
    await launched.ready()
    assert launched.worker is not None
    launched.worker.kill()
    await launched.end()
    launched.send(Cancel(1))
    launched.worker.terminate()
    launched.worker.kill()
    await asyncio.sleep(0)

    assert len(launched.ends) == 1


async def test_the_process_id_is_known_where_there_is_a_process(workers: Workers) -> None:
    launched = await workers.launch()
    await launched.ready()

    assert launched.worker is not None
    assert launched.worker.pid >= 0
