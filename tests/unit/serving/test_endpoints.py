"""Endpoints as callers change them: what is stored at once, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from saker.core.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from saker.serving import lifecycle
from saker.serving.base import Endpoint, EndpointStatus, Variant
from saker.serving.endpoints import VariantChange
from support.serving import Stores, make_config, make_model, open_stores

ARN = "arn:aws:sagemaker:us-east-1:000000000000:endpoint"


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    async with open_stores(tmp_path) as made:
        yield made


async def come_up(stores: Stores, name: str = "demo") -> Endpoint:
    """Let what is wanted be up."""
    wanted = lifecycle.wanted_deployment(stores.endpoint(name))
    assert wanted is not None
    return await stores.endpoints.transition(name, lambda endpoint: lifecycle.after_success(endpoint, wanted))


async def in_service(stores: Stores, name: str = "demo", config: str = "c") -> Endpoint:
    await stores.endpoints.create(name, config, {})
    return await come_up(stores, name)


def variants(endpoint: Endpoint) -> dict[str, tuple[float, int]]:
    """Weight and count of each wanted variant."""
    wanted = lifecycle.wanted_deployment(endpoint)
    assert wanted is not None
    return {deployed.variant.name: (deployed.variant.weight, deployed.variant.count) for deployed in wanted.variants}


# Creating


async def test_a_new_endpoint_is_creating_from_the_clocks_time_on(stores: Stores) -> None:
    now = stores.clock.now().timestamp()

    made = await stores.endpoints.create("demo", "c", {"team": "blue"}, {"note": 1})

    assert made == stores.endpoint()
    assert (made.status, made.created_at, made.modified_at) == (EndpointStatus.CREATING, now, now)
    assert made.description == {"note": 1}
    assert await stores.tags.get(f"{ARN}/demo") == {"team": "blue"}


async def test_an_endpoint_keeps_its_containers_when_its_model_and_configuration_are_deleted(stores: Stores) -> None:
    made = await in_service(stores)
    await stores.models.delete("m")
    await stores.configs.delete("c")

    assert made.current is not None
    assert made.current.variants[0].container.environment == {"HF_MODEL_ID": "acme/m"}
    assert made == stores.endpoint()


@pytest.mark.parametrize("gone", ["configuration", "model"])
async def test_an_endpoint_of_what_does_not_exist_is_refused(stores: Stores, gone: str) -> None:
    await (stores.configs.delete("c") if gone == "configuration" else stores.models.delete("m"))

    with pytest.raises(NotFound, match=gone):
        await stores.endpoints.create("demo", "c", {})

    assert stores.status() == ""


async def test_of_many_that_create_one_name_at_once_exactly_one_wins(stores: Stores) -> None:
    woken: list[str] = []
    stores.endpoints.on_change = woken.append

    results = await asyncio.gather(
        *(stores.endpoints.create("demo", "c", {}) for _ in range(8)), return_exceptions=True
    )

    assert [AlreadyExists] * 7 == [type(result) for result in results if isinstance(result, BaseException)]
    assert woken == ["demo"]


# Updating


async def test_an_update_keeps_what_runs_and_wants_the_other(stores: Stores) -> None:
    before = await in_service(stores)
    await stores.add(make_model("other"), make_config("c2", Variant("v", "other", count=2)))
    stores.clock.advance(5)

    after = await stores.endpoints.update("demo", "c2")

    assert after.status == EndpointStatus.UPDATING
    assert after.current == before.current
    assert variants(after) == {"v": (1.0, 2)}
    assert (after.config_name, after.modified_at) == ("c2", before.modified_at + 5)


async def test_an_update_to_the_same_configuration_is_a_new_deployment(stores: Stores) -> None:
    before = await in_service(stores)

    after = await stores.endpoints.update("demo", "c")

    assert before.current is not None
    assert after.target is not None
    assert before.current.id != after.target.id


async def test_an_update_may_retain_weights_and_counts_of_variants_in_both(stores: Stores) -> None:
    await stores.add(make_config("old", Variant("a", "m", count=3, weight=5), Variant("gone", "m")))
    await stores.add(make_config("new", Variant("a", "m"), Variant("b", "m", count=2, weight=7)))
    await in_service(stores, config="old")

    after = await stores.endpoints.update("demo", "new", retain_variants=True)

    assert variants(after) == {"a": (5, 3), "b": (7, 2)}


async def test_an_update_to_what_does_not_exist_changes_nothing(stores: Stores) -> None:
    before = await in_service(stores)

    with pytest.raises(NotFound, match="endpoint configuration"):
        await stores.endpoints.update("demo", "nope")

    assert before == stores.endpoint()


# Scaling


async def test_scaling_changes_the_named_variants_and_what_is_named_of_them(stores: Stores) -> None:
    await stores.add(make_config("ab", Variant("a", "m", weight=1), Variant("b", "m", count=2, weight=1)))
    before = await in_service(stores, config="ab")

    after = await stores.endpoints.scale("demo", [VariantChange("a", count=4), VariantChange("b", weight=0.0)])

    assert after.status == EndpointStatus.UPDATING
    assert variants(after) == {"a": (1, 4), "b": (0.0, 2)}
    assert after.target is not None
    assert before.current is not None
    assert after.target.id == before.current.id  # the same replicas, more or fewer of them


async def test_scaling_an_unknown_variant_is_refused_with_the_right_name(stores: Stores) -> None:
    before = await in_service(stores)

    with pytest.raises(InvalidInput, match=r"no variant 'AllTrafic'\..*Did you mean 'AllTraffic'"):
        await stores.endpoints.scale("demo", [VariantChange("AllTrafic", count=2)])

    assert before == stores.endpoint()


async def test_scaling_what_never_ran_is_refused_with_its_reason(stores: Stores) -> None:
    await stores.endpoints.create("demo", "c", {})
    await stores.endpoints.transition(
        "demo", lambda e: replace(e, status=EndpointStatus.FAILED, failure_reason="No memory.")
    )

    with pytest.raises(Conflict, match=r"runs nothing that could be scaled\. No memory\."):
        await stores.endpoints.scale("demo", [VariantChange("AllTraffic", count=2)])


# What is in progress


@pytest.mark.parametrize(
    "status",
    [
        EndpointStatus.CREATING,
        EndpointStatus.UPDATING,
        EndpointStatus.SYSTEM_UPDATING,
        EndpointStatus.ROLLING_BACK,
        EndpointStatus.DELETING,
    ],
)
async def test_an_endpoint_that_is_changing_takes_no_further_change_in_awss_words(
    stores: Stores, status: EndpointStatus
) -> None:
    await in_service(stores)
    await stores.endpoints.transition("demo", lambda endpoint: replace(endpoint, status=status))

    for change in (
        stores.endpoints.update("demo", "c"),
        stores.endpoints.scale("demo", [VariantChange("AllTraffic", count=2)]),
    ):
        with pytest.raises(Conflict) as caught:
            await change

        assert caught.value.what == f'Cannot update in-progress endpoint "{ARN}/demo".'


@pytest.mark.parametrize("status", [status for status in EndpointStatus if status != EndpointStatus.DELETING])
async def test_an_endpoint_can_be_deleted_in_every_state(stores: Stores, status: EndpointStatus) -> None:
    await in_service(stores)
    await stores.endpoints.transition("demo", lambda endpoint: replace(endpoint, status=status))

    await stores.endpoints.delete("demo")

    assert stores.status() == "Deleting"


async def test_deleting_twice_is_refused(stores: Stores) -> None:
    await in_service(stores)
    await stores.endpoints.delete("demo")

    with pytest.raises(Conflict):
        await stores.endpoints.delete("demo")


async def test_changes_of_what_does_not_exist_are_refused(stores: Stores) -> None:
    for change in (
        stores.endpoints.update("nope", "c"),
        stores.endpoints.scale("nope", []),
        stores.endpoints.delete("nope"),
    ):
        with pytest.raises(NotFound, match=f'Could not find endpoint "{ARN}/nope"'):
            await change


# Transitions


async def test_of_two_updates_at_once_one_wins_and_the_other_is_told(stores: Stores) -> None:
    await in_service(stores)

    results = await asyncio.gather(
        stores.endpoints.update("demo", "c"), stores.endpoints.update("demo", "c"), return_exceptions=True
    )

    assert sorted(type(result).__name__ for result in results) == ["Conflict", "Endpoint"]


async def test_transitions_see_one_another_and_lose_nothing(stores: Stores) -> None:
    await in_service(stores)

    def add_one(endpoint: Endpoint) -> Endpoint:
        return replace(endpoint, description={"n": endpoint.description.get("n", 0) + 1})

    await asyncio.gather(*(stores.endpoints.transition("demo", add_one) for _ in range(10)))

    assert stores.endpoint().description == {"n": 10}


async def test_a_transition_without_a_change_wakes_nobody_and_keeps_the_time(stores: Stores) -> None:
    before = await in_service(stores)
    woken: list[str] = []
    stores.endpoints.on_change = woken.append
    stores.clock.advance(5)

    after = await stores.endpoints.transition("demo", lambda endpoint: endpoint)

    assert after is before
    assert woken == []


async def test_a_change_is_completed_and_told_when_its_caller_goes_away(tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        woken: list[str] = []
        stores.endpoints.on_change = woken.append
        task = asyncio.create_task(stores.endpoints.create("demo", "c", {}))
        while not task.done() and stores.status() == "":
            await asyncio.sleep(0)
            task.cancel()
        await stores.endpoints.create("last", "c", {})  # waits its turn behind the other

        assert woken == ["demo", "last"]
        assert stores.status() == "Creating"

    async with open_stores(tmp_path) as later:
        assert later.status() == "Creating"


@pytest.mark.parametrize("turns", range(1, 12))
async def test_a_transition_is_completed_wherever_its_caller_goes_away(tmp_path: Path, turns: int) -> None:
    async with open_stores(tmp_path) as stores:
        await in_service(stores)
        woken: list[str] = []
        stores.endpoints.on_change = woken.append
        task = asyncio.create_task(stores.endpoints.transition("demo", lambda e: replace(e, failure_reason="x")))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await stores.endpoints.settle()

        assert (stores.endpoint().failure_reason, woken) == ("x", ["demo"])

    async with open_stores(tmp_path) as later:
        assert later.endpoint().failure_reason == "x"
