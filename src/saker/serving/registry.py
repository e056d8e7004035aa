"""Models and endpoint configurations: made, read, listed, deleted. The error texts are AWS's, since SDKs match on them.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html and its neighbours; the SDK's
`_deployment_entity_exists` and `_create_resource` match "Could not find" and "already existing".
"""

from __future__ import annotations

import asyncio
from typing import Generic

from saker.core.arn import Arn
from saker.core.errors import AlreadyExists, InvalidInput, NotFound
from saker.core.suggest import did_you_mean
from saker.serving.base import EndpointConfig, Model
from saker.serving.listing import Page, Query, R, page
from saker.serving.records import Records
from saker.serving.tags import Tags


class Names:
    """Writes the ARNs of one account in one region."""

    def __init__(self, region: str, account_id: str) -> None:
        self.region = region
        self.account_id = account_id

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a SageMaker resource; `kind` as in "endpoint-config". Names are lower-case in ARNs, as at AWS."""
        return str(Arn("sagemaker", self.region, self.account_id, f"{kind}/{name.lower()}"))


class Registry(Generic[R]):
    """The named resources of one kind."""

    def __init__(self, records: Records[R], names: Names, tags: Tags, kind: str, noun: str) -> None:
        """
        Args:
            kind: The resource type in ARNs: "endpoint-config".
            noun: What messages call it: "endpoint configuration".
        """
        self._records = records
        self._names = names
        self._tags = tags
        self._kind = kind
        self._noun = noun
        self._lock = asyncio.Lock()  # between the check that a name is free and taking it

    def arn(self, name: str) -> str:
        """The ARN of a resource of this kind."""
        return self._names.arn(self._kind, name)

    def has_arn(self, arn: str) -> bool:
        """Whether an ARN names one of them. Their case is lost in ARNs, so this looks at all."""
        return any(self.arn(record.name) == arn for record in self._records.all())

    def get(self, name: str) -> R:
        """The resource of that name.

        Raises:
            NotFound: There is none.
        """
        found = self._records.find(name)
        if found is None:
            known = (record.name for record in self._records.all())
            raise NotFound(f'Could not find {self._noun} "{self.arn(name)}".', fix=did_you_mean(name, known))
        return found

    def list(self, query: Query) -> Page[R]:
        """A page of them."""
        return page(self._records.all(), query)

    async def add(self, record: R, tags: dict[str, str]) -> R:
        """Store a new resource with its tags.

        Raises:
            AlreadyExists: The name is taken.
            InvalidInput: There are too many tags.
        """
        return await asyncio.shield(self._add(record, tags))  # a caller that goes away leaves nothing half-written

    async def _add(self, record: R, tags: dict[str, str]) -> R:
        async with self._lock:
            if self.has_arn(self.arn(record.name)):  # names that differ in case only would share their tags
                raise AlreadyExists(f'Cannot create already existing {self._noun} "{self.arn(record.name)}".')
            await self._tags.remove(self.arn(record.name))  # a creation that was cut off here may have left some
            await self._tags.add(self.arn(record.name), tags)
            await self._records.insert(record)
        return record

    async def delete(self, name: str) -> None:
        """Delete a resource and its tags. What already runs from it goes on, as at AWS.

        Raises:
            NotFound: There is none.
        """
        self.get(name)
        await asyncio.shield(self._delete(name))

    async def _delete(self, name: str) -> None:
        await self._tags.remove(self.arn(name))  # first: once the name is free, they would be the next one's
        await self._records.delete(name)


def check_config(config: EndpointConfig, models: Registry[Model]) -> None:
    """Refuse a configuration that could not be deployed.

    Raises:
        NotFound: It names a model that does not exist.
        InvalidInput: Two variants of one name, or no weight above 0.
    """
    names = [variant.name for variant in config.variants]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(f"Two production variants are named {name!r}.", fix="Give each its own name.")
    for variant in config.variants:
        models.get(variant.model_name)
    if not any(variant.weight > 0 for variant in config.variants):
        raise InvalidInput("No production variant has an InitialVariantWeight above 0, so none would get requests.")
