"""Opening state.db: making it, migrating it, and saying why it cannot be opened."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

import saker.storage
from saker.core.errors import Unavailable
from saker.storage.database import open_database
from saker.storage.tables import metadata

TABLES = {"models", "endpoint_configs", "endpoints", "tags", "access_keys"}


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def alembic_config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(saker.storage.__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


async def value_of(database: AsyncEngine, statement: str) -> object:
    async with database.connect() as connection:
        return (await connection.execute(text(statement))).scalar()


async def test_an_empty_folder_gets_every_table(tmp_path: Path) -> None:
    database = await open_database(tmp_path / "state.db")
    await database.dispose()

    assert TABLES | {"alembic_version"} == tables(tmp_path / "state.db")


async def test_the_migrations_make_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, metadata))

    database = await open_database(tmp_path / "state.db")
    async with database.connect() as connection:
        found = await connection.run_sync(differences)
    await database.dispose()

    assert found == []


async def test_the_migrations_name_primary_keys_as_the_tables_do(tmp_path: Path) -> None:
    def names(connection: Connection) -> dict[str, str | None]:
        return {table: inspect(connection).get_pk_constraint(table)["name"] for table in TABLES}

    database = await open_database(tmp_path / "state.db")
    async with database.connect() as connection:
        found = await connection.run_sync(names)
    await database.dispose()

    assert found == {table: f"pk_{table}" for table in TABLES}


async def test_opening_again_finds_what_was_stored(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    first = await open_database(path)
    async with first.begin() as connection:
        await connection.execute(text("INSERT INTO tags VALUES ('arn', 'team', 'blue')"))
    await first.dispose()

    second = await open_database(path)
    found = await value_of(second, "SELECT value FROM tags")
    await second.dispose()

    assert found == "blue"


async def test_the_migrations_can_be_taken_back_and_applied_again(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    database = await open_database(path)
    async with database.begin() as connection:
        await connection.run_sync(lambda c: command.downgrade(alembic_config(c), "base"))
    await database.dispose()
    after_downgrade = tables(path)
    await (await open_database(path)).dispose()

    assert after_downgrade == {"alembic_version"}
    assert tables(path) >= TABLES


async def test_what_was_acknowledged_is_on_the_disk_and_readers_need_not_wait(tmp_path: Path) -> None:
    database = await open_database(tmp_path / "state.db")
    try:
        assert await value_of(database, "PRAGMA journal_mode") == "wal"
        assert await value_of(database, "PRAGMA synchronous") == 2  # FULL
    finally:
        await database.dispose()


async def test_only_the_owner_can_read_the_state_and_its_log(tmp_path: Path) -> None:
    database = await open_database(tmp_path / "state.db")
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    await database.dispose()

    assert {"state.db", "state.db-wal", "state.db-shm"} == set(modes)
    assert set(modes.values()) == {0o600}


async def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "state.db").touch(mode=0o644)

    database = await open_database(tmp_path / "state.db")
    await database.dispose()

    assert stat.S_IMODE((tmp_path / "state.db").stat().st_mode) == 0o600


async def test_characters_that_mean_something_in_a_url_may_be_in_the_path(tmp_path: Path) -> None:
    folder = tmp_path / "a?b=c#d%20e"
    folder.mkdir()

    await (await open_database(folder / "state.db")).dispose()

    assert [folder] == list(tmp_path.iterdir())
    assert tables(folder / "state.db") >= TABLES


async def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    async def fail_half_way() -> None:
        async with database.begin() as connection:
            await connection.execute(text("INSERT INTO tags VALUES ('arn', 'team', 'blue')"))
            raise RuntimeError("half-way")

    database = await open_database(tmp_path / "state.db")
    with pytest.raises(RuntimeError, match="half-way"):
        await fail_half_way()

    found = await value_of(database, "SELECT count(*) FROM tags")
    await database.dispose()

    assert found == 0


# What cannot be opened


async def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE tags (mine TEXT)")  # the fourth table that the migration makes

    with pytest.raises(Unavailable, match="table tags already exists"):
        await open_database(path)

    assert tables(path) == {"tags"}


async def test_the_state_of_a_newer_saker_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await (await open_database(path)).dispose()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()

    with pytest.raises(Unavailable, match=r"written by a newer Saker\. .*9999.*Upgrade Saker"):
        await open_database(path)

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"Dear diary, " * 1000)

    with pytest.raises(Unavailable, match="file is not a database"):
        await open_database(path)

    assert path.read_bytes() == b"Dear diary, " * 1000


async def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()

    with pytest.raises(Unavailable, match=r"state\.db' cannot be opened.*SAKER_HOME"):
        await open_database(tmp_path / "state.db")


async def test_a_data_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        await open_database(tmp_path / "missing" / "state.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into read-only folders")
async def test_a_read_only_data_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(Unavailable, match="Permission denied"):
        await open_database(tmp_path / "state.db")


@pytest.mark.skipif(not os.access("/proc/self", os.R_OK), reason="there is no folder that nobody can write into")
async def test_a_folder_where_nothing_can_be_made_is_refused_for_root_too() -> None:
    with pytest.raises(Unavailable, match=r"cannot be opened"):
        await open_database(Path("/proc/self/state.db"))
