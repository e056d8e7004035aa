"""Tags on resources."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from saker.core.errors import InvalidInput
from saker.serving.tags import MAX_TAGS, Tags
from support.databases import make_database


@pytest.fixture
async def tags(tmp_path: Path) -> AsyncIterator[Tags]:
    database = await make_database(tmp_path)
    yield Tags(database)
    await database.dispose()


async def test_a_resource_has_no_tags_at_first(tags: Tags) -> None:
    assert await tags.get("arn") == {}


async def test_tags_come_back_in_order_of_key(tags: Tags) -> None:
    added = await tags.add("arn", {"b": "2", "a": "1"})

    assert list((await tags.get("arn")).items()) == [("a", "1"), ("b", "2")]
    assert added == await tags.get("arn")


async def test_a_tag_of_the_same_key_takes_the_new_value(tags: Tags) -> None:
    await tags.add("arn", {"a": "1", "b": "2"})

    assert await tags.add("arn", {"a": "3"}) == {"a": "3", "b": "2"}
    assert await tags.get("arn") == {"a": "3", "b": "2"}


async def test_adding_none_changes_nothing(tags: Tags) -> None:
    await tags.add("arn", {"a": "1"})

    assert await tags.add("arn", {}) == {"a": "1"}


async def test_resources_do_not_share_tags(tags: Tags) -> None:
    await tags.add("arn", {"a": "1"})
    await tags.add("other", {"a": "2"})
    await tags.remove("arn")

    assert await tags.get("arn") == {}
    assert await tags.get("other") == {"a": "2"}


async def test_only_the_named_keys_are_removed_and_missing_ones_ignored(tags: Tags) -> None:
    await tags.add("arn", {"a": "1", "b": "2", "c": "3"})
    await tags.remove("arn", ["a", "c", "missing"])

    assert await tags.get("arn") == {"b": "2"}


async def test_a_full_resource_takes_new_values_but_no_new_keys(tags: Tags) -> None:
    await tags.add("arn", {str(i): "" for i in range(MAX_TAGS)})
    await tags.add("arn", {"0": "new"})

    with pytest.raises(InvalidInput, match="this would make 51"):
        await tags.add("arn", {"0": "newer", "more": ""})

    found = await tags.get("arn")
    assert (MAX_TAGS, "new") == (len(found), found["0"])
