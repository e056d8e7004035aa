"""AddTags, ListTags, DeleteTags."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from saker.core.arn import Arn
from saker.core.errors import NotFound
from saker.doors.operations import Params, Result, operation
from saker.doors.sagemaker.common import read_tags, write_tags
from saker.serving.tags import Tags


class TagOperations:
    """The operations on tags, for every taggable resource."""

    def __init__(self, tags: Tags, exists: Mapping[str, Callable[[str], bool]]) -> None:
        """
        Args:
            exists: For each resource type in ARNs ("endpoint"), whether an ARN of that type names something.
        """
        self._tags = tags
        self._exists = exists

    @operation("sagemaker", "AddTags", member="ResourceArn")
    async def add_tags(self, request: Params) -> Result:
        """Add tags to a resource; returns all that it has."""
        arn = self._known(request["ResourceArn"])
        return {"Tags": write_tags(await self._tags.add(arn, read_tags(request)))}

    @operation("sagemaker", "ListTags", member="ResourceArn")
    async def list_tags(self, request: Params) -> Result:
        """A resource's tags. There are at most fifty, so one page holds them."""
        return {"Tags": write_tags(await self._tags.get(self._known(request["ResourceArn"])))}

    @operation("sagemaker", "DeleteTags", member="ResourceArn")
    async def delete_tags(self, request: Params) -> Result:
        """Remove tags from a resource; keys that it has not are ignored."""
        await self._tags.remove(self._known(request["ResourceArn"]), request["TagKeys"])
        return {}

    def _known(self, arn: str) -> str:
        exists = self._exists.get(Arn.parse(arn).kind)
        if exists is None or not exists(arn):
            raise NotFound(f'Could not find resource "{arn}".')
        return arn
