"""Opens state.db: SQLite with a write-ahead log, migrated to the newest schema."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from saker.core.errors import SakerError, Unavailable

_log = logging.getLogger(__name__)


async def open_database(path: Path) -> AsyncEngine:
    """The database at `path`, made or migrated as needed. The caller disposes of the engine.

    Raises:
        Unavailable: The file cannot be opened or written, is no database, or comes from a newer Saker.
    """
    engine = create_async_engine(URL.create("sqlite+aiosqlite", database=str(path)))
    event.listen(engine.sync_engine, "connect", _set_pragmas)
    event.listen(engine.sync_engine, "begin", _begin)
    try:
        # Before SQLite opens it: the write-ahead log takes over the file's mode.
        path.touch(mode=0o600)
        path.chmod(0o600)
        async with engine.begin() as connection:
            await connection.run_sync(_migrate)
    except Exception as error:
        await engine.dispose()
        raise _explain(error, path) from error
    return engine


def _begin(connection: Connection) -> None:
    # The driver would begin only before changes of rows, and leave half a schema behind when a migration fails.
    connection.exec_driver_sql("BEGIN")


def _set_pragmas(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # `_begin` begins
    cursor = connection.cursor()
    # WAL: readers go on while one writes. FULL: what was acknowledged survives a power cut.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _migrate(connection: Connection) -> None:
    # Imported here: Alembic takes 60 ms to import and only a start of the platform needs it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    logging.getLogger("alembic").setLevel(logging.WARNING)
    command.upgrade(config, "head")


def _explain(error: Exception, path: Path) -> SakerError:
    from alembic.util import CommandError

    if isinstance(error, CommandError):
        return Unavailable(
            f"The state in {str(path)!r} was written by a newer Saker.",
            why=f"{error}.",
            fix="Upgrade Saker, or name another data folder with SAKER_HOME.",
        )
    if isinstance(error, (OperationalError, DatabaseError, OSError)):
        cause = getattr(error, "orig", None) or error
        return Unavailable(
            f"The state in {str(path)!r} cannot be opened.",
            why=f"{cause}.",
            fix="Check the folder's permissions and free space, or name another data folder with SAKER_HOME.",
        )
    return Unavailable(f"The state in {str(path)!r} cannot be opened.", why=f"{type(error).__name__}: {error}.")
