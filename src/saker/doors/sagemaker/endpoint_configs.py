"""CreateEndpointConfig, DescribeEndpointConfig, ListEndpointConfigs, DeleteEndpointConfig."""

from __future__ import annotations

from typing import Any

from saker.core.clock import Clock
from saker.core.errors import InvalidInput, Unsupported
from saker.doors.operations import Params, Result, operation
from saker.doors.sagemaker.common import moment, read_query, read_tags, with_token, without
from saker.serving.base import LEAST_OUTSTANDING_REQUESTS, EndpointConfig, Model, Variant
from saker.serving.registry import Registry, check_config

_UNSERVED = ("AsyncInferenceConfig", "ShadowProductionVariants", "ExplainerConfig")
"""Members that change what an endpoint does and that nothing here honours yet; refused rather than dropped."""


class EndpointConfigOperations:
    """The operations on endpoint configurations."""

    def __init__(self, configs: Registry[EndpointConfig], models: Registry[Model], clock: Clock) -> None:
        self._configs = configs
        self._models = models
        self._clock = clock

    @operation("sagemaker", "CreateEndpointConfig", kind="endpoint-config", member="EndpointConfigName")
    async def create_endpoint_config(self, request: Params) -> Result:
        """Store a configuration whose models exist."""
        for member in _UNSERVED:
            if request.get(member):
                raise Unsupported(f"{member} is not implemented by Saker.", fix="Leave it out.")
        config = EndpointConfig(
            name=request["EndpointConfigName"],
            created_at=self._clock.now().timestamp(),
            variants=tuple(_variant(variant) for variant in request["ProductionVariants"]),
            description=without(request, "EndpointConfigName", "Tags"),
        )
        check_config(config, self._models)
        await self._configs.add(config, read_tags(request))
        return {"EndpointConfigArn": self._configs.arn(config.name)}

    @operation("sagemaker", "DescribeEndpointConfig", kind="endpoint-config", member="EndpointConfigName")
    async def describe_endpoint_config(self, request: Params) -> Result:
        """A configuration as it was created."""
        config = self._configs.get(request["EndpointConfigName"])
        return config.description | {
            "EndpointConfigName": config.name,
            "EndpointConfigArn": self._configs.arn(config.name),
            "CreationTime": moment(config.created_at),
        }

    @operation("sagemaker", "ListEndpointConfigs")
    async def list_endpoint_configs(self, request: Params) -> Result:
        """A page of configurations."""
        page = self._configs.list(read_query(request))
        rows = [
            {
                "EndpointConfigName": config.name,
                "EndpointConfigArn": self._configs.arn(config.name),
                "CreationTime": moment(config.created_at),
            }
            for config in page.items
        ]
        return with_token({"EndpointConfigs": rows}, page.token)

    @operation("sagemaker", "DeleteEndpointConfig", kind="endpoint-config", member="EndpointConfigName")
    async def delete_endpoint_config(self, request: Params) -> Result:
        """Delete a configuration. Endpoints made from it go on."""
        await self._configs.delete(request["EndpointConfigName"])
        return {}


def _variant(given: dict[str, Any]) -> Variant:
    if "ServerlessConfig" in given:
        raise Unsupported("ServerlessConfig is not implemented by Saker.", fix="Give InitialInstanceCount instead.")
    if not given.get("ModelName"):
        raise InvalidInput(
            f"Production variant {given['VariantName']!r} names no model.",
            why="Inference components are not implemented by Saker.",
            fix="Give its ModelName.",
        )
    return Variant(
        name=given["VariantName"],
        model_name=given["ModelName"],
        count=given.get("InitialInstanceCount", 1),
        weight=given.get("InitialVariantWeight", 1.0),
        instance_type=given.get("InstanceType", ""),
        routing=given.get("RoutingConfig", {}).get("RoutingStrategy", LEAST_OUTSTANDING_REQUESTS),
    )
