"""Keeps one kind of record in the database and in memory.

The gateway is the database's only writer, so what is in memory is what is stored: reads cost nothing, which matters for
endpoints, where every request reads one. A write reaches memory only after the database has acknowledged it.
"""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

import msgspec
from sqlalchemy import Executable, Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine


class Named(Protocol):
    """A record with a name."""

    @property
    def name(self) -> str:
        """Unique among its kind."""
        ...


R = TypeVar("R", bound=Named)


class Records(Generic[R]):
    """The records of one table, by name."""

    def __init__(self, database: AsyncEngine, table: Table, kind: type[R]) -> None:
        self._database = database
        self._table = table
        self._kind = kind
        self._held: dict[str, R] = {}

    async def load(self) -> None:
        """Read every record into memory. Once, at the start."""
        async with self._database.connect() as connection:
            rows = (await connection.execute(select(self._table.c.document))).scalars().all()
        self._held = {record.name: record for record in (msgspec.convert(row, self._kind) for row in rows)}

    def find(self, name: str) -> R | None:
        """The record of that name, or None."""
        return self._held.get(name)

    def all(self) -> list[R]:
        """Every record, in no order."""
        return list(self._held.values())

    async def insert(self, record: R) -> None:
        """Add a record whose name is free; the caller has checked that.

        Raises:
            sqlalchemy.exc.IntegrityError: The name is taken.
        """
        await self._write(insert(self._table).values(self._row(record)))
        self._held[record.name] = record

    async def replace(self, record: R) -> None:
        """Write a changed record over the one of its name."""
        statement = update(self._table).where(self._table.c.name == record.name).values(self._row(record))
        await self._write(statement)
        self._held[record.name] = record

    async def delete(self, name: str) -> None:
        """Remove a record; nothing happens when there is none."""
        await self._write(delete(self._table).where(self._table.c.name == name))
        self._held.pop(name, None)

    async def _write(self, statement: Executable) -> None:
        async with self._database.begin() as connection:
            await connection.execute(statement)

    def _row(self, record: R) -> dict[str, Any]:
        document = msgspec.to_builtins(record, str_keys=True)
        columns = {column: document[column] for column in self._table.c.keys() if column != "document"}  # noqa: SIM118  # columns iterate as Column objects
        return columns | {"document": document}
