"""CreateModel, DescribeModel, ListModels, DeleteModel."""

from __future__ import annotations

from typing import Any

from saker.core.clock import Clock
from saker.core.errors import InvalidInput, Unsupported
from saker.doors.operations import Params, Result, operation
from saker.doors.sagemaker.common import moment, read_query, read_tags, with_token, without
from saker.serving.base import Container, Model
from saker.serving.registry import Registry


class ModelOperations:
    """The operations on models."""

    def __init__(self, models: Registry[Model], clock: Clock) -> None:
        self._models = models
        self._clock = clock

    @operation("sagemaker", "CreateModel", kind="model", member="ModelName")
    async def create_model(self, request: Params) -> Result:
        """Store a model. Its files are looked at when an endpoint needs them, as at AWS."""
        name = request["ModelName"]
        model = Model(
            name=name,
            created_at=self._clock.now().timestamp(),
            container=_container(request),
            description=without(request, "ModelName", "Tags"),
        )
        await self._models.add(model, read_tags(request))
        return {"ModelArn": self._models.arn(name)}

    @operation("sagemaker", "DescribeModel", kind="model", member="ModelName")
    async def describe_model(self, request: Params) -> Result:
        """A model as it was created."""
        model = self._models.get(request["ModelName"])
        return model.description | {
            "ModelName": model.name,
            "ModelArn": self._models.arn(model.name),
            "CreationTime": moment(model.created_at),
            "EnableNetworkIsolation": model.description.get("EnableNetworkIsolation", False),
        }

    @operation("sagemaker", "ListModels")
    async def list_models(self, request: Params) -> Result:
        """A page of models."""
        page = self._models.list(read_query(request))
        rows = [
            {"ModelName": m.name, "ModelArn": self._models.arn(m.name), "CreationTime": moment(m.created_at)}
            for m in page.items
        ]
        return with_token({"Models": rows}, page.token)

    @operation("sagemaker", "DeleteModel", kind="model", member="ModelName")
    async def delete_model(self, request: Params) -> Result:
        """Delete a model. Endpoints that run it go on."""
        await self._models.delete(request["ModelName"])
        return {}


def _container(request: Params) -> Container:
    """The one container of the model."""
    containers = [c for c in (request.get("PrimaryContainer"), *request.get("Containers", ())) if c]
    if len(containers) > 1:
        raise Unsupported(
            f"The model has {len(containers)} containers.",
            why="Inference pipelines of several containers are not served.",
        )
    if not containers:
        raise InvalidInput("The model has no container.", fix="Give a PrimaryContainer.")
    container = containers[0]
    return Container(
        image=container.get("Image", ""),
        environment=dict(container.get("Environment", {})),
        model_data=_model_data(container),
    )


def _model_data(container: dict[str, Any]) -> str:
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    return str(source.get("S3Uri") or container.get("ModelDataUrl") or "")
