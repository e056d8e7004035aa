"""A replica shares one worker among many requests."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from saker.core.errors import EngineFailure, InvalidInput, SakerError, Throttled, Unavailable, Unsupported
from saker.engine.messages import Cancel, Chunk, Embed, Embedded, Failed, Generate, GenerateRequest, Step
from saker.fleet import Replica
from saker.fleet.base import ReplicaState
from support.clock import FakeClock
from support.fleets import KEY, READY, ScriptedLauncher, ScriptedWorker, last_chunk, make_request, make_spec


@dataclass
class Setup:
    replica: Replica
    worker: ScriptedWorker
    changes: list[ReplicaState] = field(default_factory=list)


async def make(max_queue: int = 8, *, is_ready: bool = True) -> Setup:
    changes: list[ReplicaState] = []
    replica = Replica(
        "r1",
        KEY,
        make_spec(),
        max_queue=max_queue,
        clock=FakeClock(),
        on_change=lambda replica: changes.append(replica.state),
        on_exit=lambda replica, cause: None,
    )
    launcher = ScriptedLauncher()
    replica.attach(await launcher.launch(replica.spec, Path("unused"), replica.on_report, replica.on_exit))
    if is_ready:
        replica.on_report(READY)
    return Setup(replica, launcher.workers[0], changes)


async def test_chunks_reach_the_request_that_they_belong_to() -> None:
    setup = await make()
    first, second = setup.replica.generate(make_request()), setup.replica.generate(make_request())
    setup.worker.report(Step((Chunk(1, "a"), Chunk(2, "x"))))
    setup.worker.report(Step((last_chunk(2, "y"), last_chunk(1, "b"))))

    assert ["a", "b"] == [chunk.text async for chunk in first]
    assert ["x", "y"] == [chunk.text async for chunk in second]
    assert setup.replica.in_flight == 0


async def test_a_stream_waits_for_what_has_not_come_yet() -> None:
    setup = await make()
    stream = setup.replica.generate(make_request())
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    assert not waiting.done()

    setup.worker.report(Step((Chunk(1, "late"),)))

    assert "late" == (await waiting).text


async def test_a_request_of_several_answers_ends_with_the_last_of_them() -> None:
    setup = await make()
    collecting = asyncio.ensure_future(setup.replica.collect(make_request(n=2)))
    await asyncio.sleep(0)
    setup.worker.report(Step((last_chunk(1, "b", index=1),)))
    assert setup.replica.in_flight == 1

    setup.worker.report(Step((last_chunk(1, "a"),)))

    assert ["b", "a"] == [chunk.text for chunk in await collecting]
    assert setup.replica.in_flight == 0


async def test_closing_a_stream_early_cancels_the_request() -> None:
    setup = await make()
    async with aclosing(setup.replica.generate(make_request())) as stream:
        setup.worker.report(Step((Chunk(1, "a"), Chunk(1, "b"))))
        assert "a" == (await anext(stream)).text

    assert Cancel(1) == setup.worker.commands[-1]
    assert setup.replica.in_flight == 0
    assert [] == [chunk async for chunk in stream]
    setup.worker.report(Step((Chunk(1, "too late"),)))


async def test_closing_a_stream_after_its_end_sends_nothing() -> None:
    setup = await make()
    stream = setup.replica.generate(make_request())
    setup.worker.report(Step((last_chunk(1),)))
    await stream.aclose()

    assert [Generate(1, make_request())] == setup.worker.commands


async def test_a_caller_that_is_cancelled_cancels_its_request() -> None:
    setup = await make()
    collecting = asyncio.ensure_future(setup.replica.collect(make_request()))
    await asyncio.sleep(0)
    collecting.cancel()
    await asyncio.gather(collecting, return_exceptions=True)

    assert Cancel(1) == setup.worker.commands[-1]
    assert setup.replica.in_flight == 0


async def test_an_embedding_comes_back() -> None:
    setup = await make()
    embedding = asyncio.ensure_future(setup.replica.embed(("a",)))
    await asyncio.sleep(0)
    answer = Embedded(1, ((1.0,),), 1)
    setup.worker.report(answer)

    assert answer == await embedding
    assert [Embed(1, ("a",))] == setup.worker.commands


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("InvalidInput", InvalidInput),
        ("Unsupported", Unsupported),
        ("SomethingNewer", EngineFailure),  # of a worker that knows more errors than this gateway
    ],
)
async def test_a_failure_is_raised_as_the_error_that_the_worker_names(name: str, expected: type[SakerError]) -> None:
    setup = await make()
    stream = setup.replica.generate(make_request())
    setup.worker.report(Step((Chunk(1, "a"),)))
    setup.worker.report(Failed(1, name, "What.", "Why.", "Fix."))

    assert "a" == (await anext(stream)).text
    with pytest.raises(expected, match=r"What\. Why\. Fix\."):
        await anext(stream)
    assert [] == [chunk async for chunk in stream]


async def test_more_requests_than_the_queue_holds_are_throttled() -> None:
    setup = await make(max_queue=2)
    setup.replica.generate(make_request())
    setup.replica.generate(make_request())

    with pytest.raises(Throttled, match="max_queue allows 2"):
        setup.replica.generate(make_request())


async def test_a_replica_that_is_not_ready_takes_no_requests() -> None:
    setup = await make(is_ready=False)

    with pytest.raises(Unavailable, match="It is Starting"):
        setup.replica.generate(make_request())


async def test_a_draining_replica_still_takes_the_request_of_a_caller_that_chose_it_before() -> None:
    setup = await make()
    setup.replica.drain()
    setup.replica.generate(make_request())

    assert setup.replica.is_draining
    assert setup.replica.in_flight == 1


async def test_a_draining_replica_tells_when_its_last_request_is_over() -> None:
    setup = await make()
    setup.replica.generate(make_request())
    setup.replica.drain()
    changes = len(setup.changes)

    setup.worker.report(Step((last_chunk(1),)))

    assert changes + 1 == len(setup.changes)


async def test_the_death_of_the_process_fails_every_running_request_with_the_cause() -> None:
    setup = await make()
    stream = setup.replica.generate(make_request())
    collecting = asyncio.ensure_future(setup.replica.collect(make_request()))
    embedding = asyncio.ensure_future(setup.replica.embed(("a",)))
    await asyncio.sleep(0)
    setup.worker.exit("was killed by signal 9 (SIGKILL)")

    for waiting in (anext(stream), collecting, embedding):
        with pytest.raises(Unavailable, match=r"killed by signal 9.*Send the request again"):
            await waiting
    with pytest.raises(Unavailable, match="It is Gone"):
        setup.replica.generate(make_request())


async def test_requests_of_a_replica_that_is_stopped_learn_why() -> None:
    setup = await make()
    stream = setup.replica.generate(make_request())
    setup.replica.stop("The platform is shutting down.")
    setup.worker.exit("exited with status 0")

    with pytest.raises(Unavailable, match="shutting down"):
        await anext(stream)


async def test_a_stop_before_the_launch_reaches_the_process_afterwards() -> None:
    setup = await make(is_ready=False)
    late = ScriptedWorker(make_spec(), setup.replica.on_report, lambda cause: None)
    setup.replica.stop("No longer wanted.")
    setup.replica.attach(late)

    assert ["TERM"] == late.signals


async def test_reports_about_unknown_requests_are_dropped() -> None:
    setup = await make()
    for report in (Step((last_chunk(7),)), Failed(7, "Internal", "x"), Embedded(7, (), 0)):
        setup.worker.report(report)

    assert setup.replica.in_flight == 0


async def test_a_request_that_cannot_be_sent_is_not_in_flight() -> None:
    setup = await make()

    def refuse(command: object) -> None:
        raise InvalidInput("too large")

    setup.worker.send = refuse  # type: ignore[method-assign]  # as a command that fits no frame
    with pytest.raises(InvalidInput):
        setup.replica.generate(GenerateRequest(prompt="x"))

    assert setup.replica.in_flight == 0
