"""Tags on resources, by ARN."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from saker.core.errors import InvalidInput
from saker.storage.tables import tags

MAX_TAGS = 50
"""Per resource. Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AddTags.html"""


class Tags:
    """The tags of every resource."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database

    async def get(self, arn: str) -> dict[str, str]:
        """A resource's tags, in order of key."""
        statement = select(tags.c.key, tags.c.value).where(tags.c.arn == arn).order_by(tags.c.key)
        async with self._database.connect() as connection:
            return {row.key: row.value for row in await connection.execute(statement)}

    async def add(self, arn: str, new: Mapping[str, str]) -> dict[str, str]:
        """Add tags, over those of the same key; returns all.

        Raises:
            InvalidInput: The resource would have more than `MAX_TAGS`.
        """
        merged = await self.get(arn) | dict(new)
        if len(merged) > MAX_TAGS:
            raise InvalidInput(f"A resource can have {MAX_TAGS} tags; this would make {len(merged)}.")
        async with self._database.begin() as connection:
            await connection.execute(delete(tags).where(tags.c.arn == arn, tags.c.key.in_(list(new))))
            if new:
                rows = [{"arn": arn, "key": key, "value": value} for key, value in new.items()]
                await connection.execute(insert(tags), rows)
        return dict(sorted(merged.items()))

    async def remove(self, arn: str, keys: Iterable[str] | None = None) -> None:
        """Remove the tags of these keys; None removes all."""
        statement = delete(tags).where(tags.c.arn == arn)
        if keys is not None:
            statement = statement.where(tags.c.key.in_(list(keys)))
        async with self._database.begin() as connection:
            await connection.execute(statement)
