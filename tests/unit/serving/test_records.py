"""Records in memory are what is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from saker.serving.base import (
    Container,
    DeployedVariant,
    Deployment,
    Endpoint,
    EndpointStatus,
    Variant,
)
from saker.serving.records import Records
from saker.storage.tables import endpoints
from support.databases import make_database

DEPLOYMENT = Deployment(
    "d1",
    "c",
    (
        DeployedVariant(
            Variant("v", "m", count=2, weight=0.5, description={"InstanceType": "ml.g5.xlarge"}),
            Container("image", {"HF_MODEL_ID": "acme/m"}, "/data"),
        ),
    ),
)
ENDPOINT = Endpoint(
    "demo",
    EndpointStatus.UPDATING,
    1.25,
    2.5,
    "c",
    current=DEPLOYMENT,
    target=replace(DEPLOYMENT, id="d2"),
    failure_reason="why",
    description={"nested": {"list": [1, 2.5, None, True]}},
)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = await make_database(tmp_path)
    yield engine
    await engine.dispose()


async def load(database: AsyncEngine) -> Records[Endpoint]:
    records = Records(database, endpoints, Endpoint)
    await records.load()
    return records


async def test_a_record_comes_back_as_it_was_with_all_that_is_in_it(database: AsyncEngine) -> None:
    await (await load(database)).insert(ENDPOINT)

    assert [ENDPOINT] == (await load(database)).all()


async def test_a_replaced_record_is_the_new_one_in_memory_and_on_the_disk(database: AsyncEngine) -> None:
    records = await load(database)
    await records.insert(ENDPOINT)
    changed = replace(ENDPOINT, status=EndpointStatus.IN_SERVICE, target=None)

    await records.replace(changed)

    assert changed == records.find("demo")
    assert changed == (await load(database)).find("demo")


async def test_the_columns_say_what_the_document_says(database: AsyncEngine) -> None:
    records = await load(database)
    await records.insert(ENDPOINT)
    await records.replace(replace(ENDPOINT, status=EndpointStatus.FAILED, modified_at=9.0))

    async with database.connect() as connection:
        row = (await connection.execute(text("SELECT name, status, created_at, modified_at FROM endpoints"))).one()

    assert tuple(row) == ("demo", "Failed", 1.25, 9.0)


async def test_a_deleted_record_is_gone_and_deleting_again_does_nothing(database: AsyncEngine) -> None:
    records = await load(database)
    await records.insert(ENDPOINT)

    await records.delete("demo")
    await records.delete("demo")

    assert records.find("demo") is None
    assert (await load(database)).all() == []


async def test_what_the_database_refuses_does_not_reach_memory(database: AsyncEngine) -> None:
    records = await load(database)
    await records.insert(ENDPOINT)

    with pytest.raises(IntegrityError):
        await records.insert(replace(ENDPOINT, failure_reason="other"))

    assert ENDPOINT == records.find("demo")
