"""Named resources: one per name, with AWS's own words when there is none or one too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from saker.core.errors import AlreadyExists, InvalidInput, NotFound
from saker.serving.base import Variant
from saker.serving.listing import Query
from saker.serving.registry import Names, check_config
from support.serving import Stores, make_config, make_model, open_stores

ARN = "arn:aws:sagemaker:us-east-1:000000000000"


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    async with open_stores(tmp_path) as made:
        yield made


def test_names_are_lower_case_in_arns() -> None:
    names = Names("eu-west-1", "123456789012")

    assert names.arn("endpoint", "Demo") == "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/demo"


async def test_an_arn_is_found_whatever_the_case_of_its_name(stores: Stores) -> None:
    await stores.models.add(make_model("MyModel"), {})

    assert stores.models.has_arn(f"{ARN}:model/mymodel")
    assert not stores.models.has_arn(f"{ARN}:model/other")


# The words that SDKs match on


async def test_what_is_missing_is_told_in_awss_words(stores: Stores) -> None:
    for registry, kind, noun in (
        (stores.models, "model", "model"),
        (stores.configs, "endpoint-config", "endpoint configuration"),
        (stores.registry, "endpoint", "endpoint"),
    ):
        with pytest.raises(NotFound) as caught:
            registry.get("Nope")

        assert caught.value.what == f'Could not find {noun} "{ARN}:{kind}/nope".'


async def test_what_exists_already_is_told_in_awss_words(stores: Stores) -> None:
    await stores.endpoints.create("demo", "c", {})

    with pytest.raises(AlreadyExists) as model:
        await stores.models.add(make_model(), {})
    with pytest.raises(AlreadyExists) as config:
        await stores.configs.add(make_config(), {})
    with pytest.raises(AlreadyExists) as endpoint:
        await stores.endpoints.create("demo", "c", {})

    assert str(model.value) == f'Cannot create already existing model "{ARN}:model/m".'
    assert str(config.value) == f'Cannot create already existing endpoint configuration "{ARN}:endpoint-config/c".'
    assert str(endpoint.value) == f'Cannot create already existing endpoint "{ARN}:endpoint/demo".'


async def test_what_is_missing_comes_with_the_nearest_name(stores: Stores) -> None:
    await stores.models.add(make_model("stories"), {})

    with pytest.raises(NotFound, match="Did you mean 'stories'"):
        stores.models.get("storeis")


# Adding and deleting


async def test_what_was_added_is_found_now_and_after_a_restart(tmp_path: Path) -> None:
    model = make_model("kept", MAX_TOTAL_TOKENS="5")
    async with open_stores(tmp_path) as stores:
        await stores.models.add(model, {"team": "blue"})

        assert model == stores.models.get("kept")

    async with open_stores(tmp_path) as later:
        assert model == later.models.get("kept")
        assert await later.tags.get(later.models.arn("kept")) == {"team": "blue"}


async def test_of_many_that_add_one_name_at_once_exactly_one_wins(stores: Stores) -> None:
    models = [make_model("same", SAKER_THREADS=str(i + 1)) for i in range(8)]

    results = await asyncio.gather(*(stores.models.add(model, {}) for model in models), return_exceptions=True)

    winners = [result for result in results if not isinstance(result, BaseException)]
    assert len(winners) == 1
    assert winners[0] == stores.models.get("same")
    assert [AlreadyExists] * 7 == [type(result) for result in results if isinstance(result, BaseException)]


async def test_names_that_differ_in_case_only_would_share_an_arn_and_are_refused(stores: Stores) -> None:
    with pytest.raises(AlreadyExists):
        await stores.models.add(make_model("M"), {})


async def test_a_deleted_name_is_free_again_and_inherits_no_tags(stores: Stores) -> None:
    await stores.models.add(make_model("x"), {"team": "blue"})
    await stores.models.delete("x")

    await stores.models.add(make_model("x"), {})

    assert await stores.tags.get(stores.models.arn("x")) == {}


async def test_deleting_twice_is_refused(stores: Stores) -> None:
    await stores.models.delete("m")

    with pytest.raises(NotFound):
        await stores.models.delete("m")


async def test_too_many_tags_store_nothing(stores: Stores) -> None:
    with pytest.raises(InvalidInput, match="50 tags"):
        await stores.models.add(make_model("x"), {str(i): "" for i in range(51)})

    with pytest.raises(NotFound):
        stores.models.get("x")


async def test_a_caller_that_goes_away_leaves_nothing_half_written(tmp_path: Path) -> None:
    async with open_stores(tmp_path) as stores:
        for turns in range(12):  # go away at each point on the way
            name = f"x{turns}"
            task = asyncio.create_task(stores.models.add(make_model(name), {"team": "blue"}))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await stores.models.add(make_model("last"), {})
        seen = {model.name for model in stores.models.list(Query(limit=100)).items}

    async with open_stores(tmp_path) as later:
        assert seen == {model.name for model in later.models.list(Query(limit=100)).items}
        for name in seen - {"m", "last"}:
            assert await later.tags.get(later.models.arn(name)) == {"team": "blue"}


# Configurations


async def test_a_configuration_of_existing_models_is_taken(stores: Stores) -> None:
    check_config(make_config("x", Variant("a", "m", weight=0), Variant("b", "m")), stores.models)


async def test_a_configuration_of_a_missing_model_is_refused(stores: Stores) -> None:
    with pytest.raises(NotFound, match=f'Could not find model "{ARN}:model/nope"'):
        check_config(make_config("x", Variant("a", "nope")), stores.models)


async def test_two_variants_of_one_name_are_refused(stores: Stores) -> None:
    with pytest.raises(InvalidInput, match="'a'"):
        check_config(make_config("x", Variant("a", "m"), Variant("a", "m")), stores.models)


async def test_variants_that_would_get_no_requests_are_refused(stores: Stores) -> None:
    with pytest.raises(InvalidInput, match="above 0"):
        check_config(make_config("x", Variant("a", "m", weight=0), Variant("b", "m", weight=0)), stores.models)
