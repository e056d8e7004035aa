"""Databases for tests, migrated once and copied after."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from saker.storage.database import open_database

_migrated: list[bytes] = []


async def make_database(folder: Path) -> AsyncEngine:
    """`state.db` in the folder with the newest schema, open; a file that is there already is opened as it is."""
    path = folder / "state.db"
    if not path.exists():
        path.write_bytes(await _template())
    return await open_database(path)


async def _template() -> bytes:
    if not _migrated:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "state.db"
            await (await open_database(path)).dispose()
            _migrated.append(path.read_bytes())
    return _migrated[0]
