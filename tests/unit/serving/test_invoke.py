"""Requests find a replica, wait for one where that helps, and free what they hold when their caller goes away."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from saker.core.errors import Conflict, DeadlineExceeded, EngineFailure, InvalidInput, NotFound, Throttled, Unavailable
from saker.engine.messages import Cancel, Chunk, Embed, Embedded, Failed, Generate, GenerateRequest, Step
from saker.fleet.launch.memory import MemoryLauncher
from saker.serving.base import Variant
from saker.serving.endpoints import VariantChange
from support.fleets import ScriptedLauncher, ScriptedWorker, last_chunk, make_request, until, write_fake_model
from support.serving import FakePreparer, Platform, make_config, open_platform


@pytest.fixture
def launcher() -> ScriptedLauncher:
    return ScriptedLauncher(auto_ready=True)


@pytest.fixture
async def platform(tmp_path: Path, launcher: ScriptedLauncher) -> AsyncIterator[Platform]:
    async with open_platform(tmp_path, launcher) as made:
        yield made


async def in_service(platform: Platform, *variants: Variant) -> None:
    """Make endpoint "demo" of these variants."""
    await platform.stores.add(make_config("demo", *variants))
    await platform.stores.endpoints.create("demo", "demo", {})
    await until(lambda: platform.stores.status() == "InService")


async def commands(worker: ScriptedWorker, count: int) -> list[Any]:
    """What a worker was sent, once it was sent so much."""
    await until(lambda: len(worker.commands) >= count)
    return list(worker.commands)


# With an engine that answers


async def test_an_answer_comes_whole_or_as_it_is_made(tmp_path: Path) -> None:
    preparer = FakePreparer()
    preparer.path = Path(write_fake_model(tmp_path / "model"))
    async with open_platform(tmp_path, MemoryLauncher(), preparer) as platform:
        await in_service(platform)
        route = await platform.invoker.route("demo")

        whole = await platform.invoker.collect(route, make_request("one two three"))
        parts = [chunk async for chunk in platform.invoker.stream(route, make_request("one two three", stream=True))]
        embedded = await platform.invoker.embed(route, ("one", "two words"))

    assert [chunk.text for chunk in whole] == ["one two three"]
    assert [chunk.text for chunk in parts if chunk.text] == ["one", " two", " three"]
    assert parts[-1].finish is not None
    assert (len(embedded.vectors), embedded.prompt_tokens) == (2, 3)
    assert (route.variant, route.model_name) == ("AllTraffic", "m")


# Which endpoint


async def test_an_unknown_endpoint_is_told_in_awss_words_with_the_nearest_name(platform: Platform) -> None:
    await in_service(platform)

    with pytest.raises(NotFound) as caught:
        await platform.invoker.route("dmeo")

    assert caught.value.what == "Endpoint dmeo of account 000000000000 not found."
    assert caught.value.fix == "Did you mean 'demo'?"


async def test_an_endpoint_that_is_being_created_refuses_at_once(platform: Platform) -> None:
    platform.preparer.hold("m")
    await platform.stores.endpoints.create("demo", "c", {})

    with pytest.raises(Conflict, match="Endpoint demo of account 000000000000 is Creating, not InService"):
        await platform.invoker.route("demo")


async def test_a_failed_endpoint_refuses_with_its_reason(platform: Platform) -> None:
    platform.preparer.fail("m", NotFound("The hub has no 'acme/m'."))
    await platform.stores.endpoints.create("demo", "c", {})
    await until(lambda: platform.stores.status() == "Failed")

    with pytest.raises(Conflict, match=r"is Failed, .* Cause: The hub has no 'acme/m'\."):
        await platform.invoker.route("demo")


async def test_an_endpoint_that_is_being_deleted_refuses(platform: Platform, launcher: ScriptedLauncher) -> None:
    await in_service(platform)
    launcher.workers[0].ends_when_asked = False
    await platform.stores.endpoints.delete("demo")

    with pytest.raises(Conflict, match="is Deleting"):
        await platform.invoker.route("demo")

    await until(lambda: launcher.workers[0].signals)
    launcher.workers[0].exit("exited with status 0")


async def test_only_endpoints_that_take_requests_are_named(platform: Platform) -> None:
    await in_service(platform)
    platform.preparer.hold("m")
    await platform.stores.endpoints.create("later", "c", {})

    assert platform.invoker.names() == ["demo"]


async def test_during_an_update_and_after_it_every_request_finds_a_replica(
    platform: Platform, launcher: ScriptedLauncher
) -> None:
    await in_service(platform)
    old = platform.key()
    launcher.auto_ready = False
    await platform.stores.endpoints.update("demo", "c")
    await until(lambda: len(launcher.workers) == 2)

    before = await platform.invoker.route("demo")
    launcher.workers[1].become_ready()
    while platform.stores.status() == "Updating":
        assert (await platform.invoker.route("demo")).replica is before.replica
        await asyncio.sleep(0)
    after = await platform.invoker.route("demo")

    assert (old, True) == (before.replica.key, after.replica.key != old)


async def test_a_request_that_runs_when_its_replica_is_replaced_is_finished(
    platform: Platform, launcher: ScriptedLauncher
) -> None:
    await in_service(platform)
    route = await platform.invoker.route("demo")
    answer = asyncio.create_task(platform.invoker.collect(route, make_request()))
    [sent] = await commands(launcher.workers[0], 1)

    await platform.stores.endpoints.update("demo", "c")
    await until(lambda: platform.stores.status() == "InService")
    signals = list(launcher.workers[0].signals)
    launcher.workers[0].report(Step((last_chunk(sent.id, "done"),)))

    assert ["done"] == [chunk.text for chunk in await answer]
    assert signals == []


# Which variant


async def test_requests_are_spread_by_weight(platform: Platform) -> None:
    await in_service(platform, Variant("a", "m", weight=3), Variant("b", "m", weight=1), Variant("c", "m", weight=0))

    seen = Counter([(await platform.invoker.route("demo")).variant for _ in range(400)])

    assert set(seen) == {"a", "b"}
    assert 240 < seen["a"] < 360  # 300 expected; this is six standard deviations


async def test_a_target_variant_overrides_the_weights(platform: Platform) -> None:
    await in_service(platform, Variant("a", "m", weight=1), Variant("b", "m", weight=0))

    route = await platform.invoker.route("demo", "b")

    assert route.variant == "b"
    assert route.replica.key.variant == "b"


async def test_an_unknown_target_variant_is_refused_with_the_right_name(platform: Platform) -> None:
    await in_service(platform)

    with pytest.raises(InvalidInput, match=r"Variant AllTrafic not found for request\. Did you mean 'AllTraffic'\?"):
        await platform.invoker.route("demo", "AllTrafic")


async def test_when_every_weight_is_zero_requests_are_told_so(platform: Platform) -> None:
    await in_service(platform)
    await platform.stores.endpoints.scale("demo", [VariantChange("AllTraffic", weight=0.0)])
    await until(lambda: platform.stores.status() == "InService")

    with pytest.raises(Unavailable, match="weight 0"):
        await platform.invoker.route("demo")


async def test_of_two_replicas_the_less_loaded_one_is_chosen(platform: Platform, launcher: ScriptedLauncher) -> None:
    await in_service(platform, Variant("a", "m", count=2))
    first = await platform.invoker.route("demo")
    running = asyncio.create_task(platform.invoker.collect(first, make_request()))
    await until(lambda: first.replica.in_flight)

    chosen = {(await platform.invoker.route("demo")).replica.id for _ in range(10)}

    assert first.replica.id not in chosen
    running.cancel()


# Waiting for a replica


async def test_a_request_is_held_until_a_replica_is_ready_again(platform: Platform, launcher: ScriptedLauncher) -> None:
    await in_service(platform)
    launcher.auto_ready = False
    launcher.workers[0].exit("was killed by signal 9")
    held = asyncio.create_task(platform.invoker.route("demo"))
    await until(lambda: len(launcher.workers) == 2)
    before = held.done()

    launcher.workers[1].become_ready()

    assert not before
    assert (await held).replica is platform.fleet.replicas(platform.key())[0]


async def test_a_request_is_held_while_the_platform_starts_again(tmp_path: Path) -> None:
    async with open_platform(tmp_path, ScriptedLauncher(auto_ready=True)) as first:
        await in_service(first)

    launcher = ScriptedLauncher()
    async with open_platform(tmp_path, launcher) as second:
        held = asyncio.create_task(second.invoker.route("demo"))
        await until(lambda: launcher.workers)
        launcher.workers[0].become_ready()

        assert (await held).variant == "AllTraffic"


async def test_a_request_is_held_no_longer_than_the_setting(tmp_path: Path) -> None:
    launcher = ScriptedLauncher(auto_ready=True)
    async with open_platform(tmp_path, launcher, hold_s=0.02) as platform:
        await in_service(platform)
        launcher.auto_ready = False
        launcher.workers[0].exit("was killed by signal 9")

        with pytest.raises(Unavailable, match=r"0\.02 s"):
            await platform.invoker.route("demo")


async def test_an_endpoint_without_instances_holds_requests_no_longer_than_the_setting(tmp_path: Path) -> None:
    async with open_platform(tmp_path, ScriptedLauncher(), hold_s=0.0) as platform:
        await in_service(platform, Variant("a", "m", count=0))

        with pytest.raises(Unavailable):
            await platform.invoker.route("demo")


# Limits, failures, callers that go away


async def test_an_answer_that_takes_too_long_is_given_up_and_its_slot_freed(tmp_path: Path) -> None:
    launcher = ScriptedLauncher(auto_ready=True)
    async with open_platform(tmp_path, launcher, invoke_timeout_s=0.02) as platform:
        await in_service(platform)
        route = await platform.invoker.route("demo")

        with pytest.raises(DeadlineExceeded, match=r"longer than 0\.02 s.*SAKER_INVOKE_TIMEOUT_S"):
            await platform.invoker.collect(route, make_request())
        with pytest.raises(DeadlineExceeded):
            await platform.invoker.embed(route, ("text",))
        with pytest.raises(DeadlineExceeded):
            await anext(platform.invoker.stream(route, make_request(stream=True)))

    sent = [(type(command), command.id) for command in launcher.workers[0].commands]
    assert sent == [(Generate, 1), (Cancel, 1), (Embed, 2), (Cancel, 2), (Generate, 3), (Cancel, 3)]


async def test_the_time_counts_for_the_whole_stream_and_not_for_each_chunk(tmp_path: Path) -> None:
    launcher = ScriptedLauncher(auto_ready=True)
    async with open_platform(tmp_path, launcher, invoke_timeout_s=0.1) as platform:
        await in_service(platform)
        route = await platform.invoker.route("demo")
        received: list[Chunk] = []

        async def read() -> None:
            async for chunk in platform.invoker.stream(route, make_request(stream=True)):
                received.append(chunk)

        reading = asyncio.create_task(read())
        await commands(launcher.workers[0], 1)
        for _ in range(200):
            if reading.done():
                break
            launcher.workers[0].report(Step((Chunk(1, "more"),)))
            await asyncio.sleep(0.005)  # each chunk comes long before the limit

        with pytest.raises(DeadlineExceeded):
            await reading

    assert len(received) > 1


async def test_a_slow_reader_is_not_interrupted_while_it_works_on_a_chunk(tmp_path: Path) -> None:
    launcher = ScriptedLauncher(auto_ready=True)
    async with open_platform(tmp_path, launcher, invoke_timeout_s=0.02) as platform:
        await in_service(platform)
        route = await platform.invoker.route("demo")
        chunks = platform.invoker.stream(route, make_request(stream=True))
        reading = asyncio.create_task(anext(chunks))
        await commands(launcher.workers[0], 1)
        launcher.workers[0].report(Step((Chunk(1, "first"), last_chunk(1, "last"))))
        first = await reading
        await asyncio.sleep(0.03)  # the reader's own work, longer than the limit
        last = await anext(chunks)

    assert (first.text, last.text) == ("first", "last")


async def test_closing_a_stream_early_frees_its_slot(platform: Platform, launcher: ScriptedLauncher) -> None:
    await in_service(platform)
    route = await platform.invoker.route("demo")
    chunks = platform.invoker.stream(route, make_request(stream=True))
    reading = asyncio.create_task(anext(chunks))
    await commands(launcher.workers[0], 1)
    launcher.workers[0].report(Step((Chunk(1, "first"),)))
    await reading

    await chunks.aclose()

    assert [Generate(1, make_request(stream=True)), Cancel(1)] == launcher.workers[0].commands
    assert route.replica.in_flight == 0


async def test_a_stream_that_is_never_read_holds_no_slot(platform: Platform, launcher: ScriptedLauncher) -> None:
    await in_service(platform)
    route = await platform.invoker.route("demo")

    await platform.invoker.stream(route, make_request(stream=True)).aclose()

    assert launcher.workers[0].commands == []
    assert route.replica.in_flight == 0


@pytest.mark.parametrize("kind", ["collect", "embed", "stream"])
async def test_a_caller_that_goes_away_closes_the_engines_request(
    platform: Platform, launcher: ScriptedLauncher, kind: str
) -> None:
    await in_service(platform)
    route = await platform.invoker.route("demo")

    async def call() -> object:
        if kind == "collect":
            return await platform.invoker.collect(route, make_request())
        if kind == "embed":
            return await platform.invoker.embed(route, ("text",))
        return [chunk async for chunk in platform.invoker.stream(route, make_request(stream=True))]

    task = asyncio.create_task(call())
    await commands(launcher.workers[0], 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert Cancel(1) == (await commands(launcher.workers[0], 2))[1]
    assert route.replica.in_flight == 0


async def test_a_refusal_of_the_engine_reaches_the_caller(platform: Platform, launcher: ScriptedLauncher) -> None:
    await in_service(platform)
    route = await platform.invoker.route("demo")
    answer = asyncio.create_task(platform.invoker.collect(route, make_request()))
    await commands(launcher.workers[0], 1)

    launcher.workers[0].report(Failed(1, "InvalidInput", "Too long.", "It has 9 of 8 tokens.", "Shorten it."))

    with pytest.raises(InvalidInput, match=r"Too long\. It has 9 of 8 tokens\. Shorten it\."):
        await answer


async def test_a_worker_that_dies_fails_its_requests_and_the_next_one_is_served(
    platform: Platform, launcher: ScriptedLauncher
) -> None:
    await in_service(platform)
    route = await platform.invoker.route("demo")
    answer = asyncio.create_task(platform.invoker.collect(route, make_request()))
    await commands(launcher.workers[0], 1)

    launcher.workers[0].exit("was killed by signal 9 (SIGKILL)")

    with pytest.raises((EngineFailure, Unavailable), match="SIGKILL"):
        await answer
    assert route.replica is not (await platform.invoker.route("demo")).replica


async def test_a_full_replica_refuses_more(tmp_path: Path) -> None:
    async with open_platform(tmp_path, ScriptedLauncher(auto_ready=True), max_queue=1) as platform:
        await in_service(platform)
        route = await platform.invoker.route("demo")
        first = asyncio.create_task(platform.invoker.collect(route, make_request()))
        await until(lambda: route.replica.in_flight)

        with pytest.raises(Throttled, match="max_queue"):
            await platform.invoker.collect(route, make_request())
        with pytest.raises(Throttled):
            await anext(platform.invoker.stream(route, make_request(stream=True)))
        first.cancel()


async def test_every_answer_of_a_request_is_collected(platform: Platform, launcher: ScriptedLauncher) -> None:
    await in_service(platform)
    route = await platform.invoker.route("demo")
    answer = asyncio.create_task(platform.invoker.collect(route, GenerateRequest(prompt="x", n=2)))
    await commands(launcher.workers[0], 1)

    launcher.workers[0].report(Step((last_chunk(1, "b", index=1),)))
    launcher.workers[0].report(Step((last_chunk(1, "a", index=0),)))

    assert {(0, "a"), (1, "b")} == {(chunk.index, chunk.text) for chunk in await answer}


async def test_an_embedding_is_passed_on(platform: Platform, launcher: ScriptedLauncher) -> None:
    await in_service(platform)
    route = await platform.invoker.route("demo")
    answer = asyncio.create_task(platform.invoker.embed(route, ("text",)))
    await commands(launcher.workers[0], 1)

    launcher.workers[0].report(Embedded(1, ((0.0, 1.0),), 1))

    assert Embedded(1, ((0.0, 1.0),), 1) == await answer
