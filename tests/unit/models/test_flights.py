from __future__ import annotations

import asyncio

import pytest

from saker.models.base import Progress, ProgressCallback
from saker.models.flights import SingleFlight


class Work:
    """Counts its runs and waits until it is let go."""

    def __init__(self) -> None:
        self.runs = 0
        self.cancelled = 0
        self.go = asyncio.Event()

    async def __call__(self, progress: ProgressCallback) -> str:
        self.runs += 1
        progress(Progress("check", "begun"))
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "done"


async def started(flights: SingleFlight[str], work: Work, heard: list[Progress]) -> asyncio.Task[str]:
    """A caller that has heard of the work's begin."""
    begun = asyncio.Event()

    def listen(progress: Progress) -> None:
        heard.append(progress)
        begun.set()

    task = asyncio.create_task(flights.run("key", work, listen))
    await begun.wait()
    return task


async def test_callers_at_the_same_time_share_one_run_and_its_progress() -> None:
    flights, work = SingleFlight[str](), Work()
    first, second = list[Progress](), list[Progress]()
    tasks = [await started(flights, work, first), await started(flights, work, second)]
    work.go.set()

    assert ["done", "done"] == await asyncio.gather(*tasks)
    assert 1 == work.runs
    assert ["begun"] == [p.message for p in first] == [p.message for p in second]


async def test_a_caller_that_leaves_does_not_stop_the_others() -> None:
    flights, work = SingleFlight[str](), Work()
    first, second = await started(flights, work, []), await started(flights, work, [])
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    work.go.set()

    assert "done" == await second
    assert 0 == work.cancelled


async def test_with_the_last_caller_the_work_ends() -> None:
    flights, work = SingleFlight[str](), Work()
    task = await started(flights, work, [])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert 1 == work.cancelled


async def test_a_failure_reaches_every_caller_and_is_not_kept() -> None:
    flights = SingleFlight[str]()

    async def fail(progress: ProgressCallback) -> str:
        await asyncio.sleep(0)
        raise ValueError("no")

    async def work(progress: ProgressCallback) -> str:
        return "done"

    results = await asyncio.gather(
        *(flights.run("key", fail, lambda p: None) for _ in range(2)), return_exceptions=True
    )

    assert [ValueError, ValueError] == [type(result) for result in results]
    assert "done" == await flights.run("key", work, lambda p: None)
