"""CreateEndpoint, DescribeEndpoint, ListEndpoints, UpdateEndpoint(WeightsAndCapacities), DeleteEndpoint."""

from __future__ import annotations

from typing import Any

from saker.core.errors import Unsupported
from saker.doors.operations import Params, Result, operation
from saker.doors.sagemaker.common import moment, read_query, read_tags, seconds, with_token
from saker.fleet import Fleet
from saker.fleet.base import SetKey
from saker.serving.base import DeployedVariant, Deployment, Endpoint
from saker.serving.endpoints import Endpoints, VariantChange
from saker.serving.listing import page
from saker.serving.records import Records
from saker.serving.registry import Registry


class EndpointOperations:
    """The operations on endpoints."""

    def __init__(
        self, endpoints: Endpoints, registry: Registry[Endpoint], records: Records[Endpoint], fleet: Fleet
    ) -> None:
        self._endpoints = endpoints
        self._registry = registry
        self._records = records
        self._fleet = fleet

    @operation("sagemaker", "CreateEndpoint", kind="endpoint", member="EndpointName")
    async def create_endpoint(self, request: Params) -> Result:
        """Want an endpoint; answers at once, while it is Creating."""
        _refuse_deployment_config(request)
        name = request["EndpointName"]
        await self._endpoints.create(name, request["EndpointConfigName"], read_tags(request))
        return {"EndpointArn": self._registry.arn(name)}

    @operation("sagemaker", "DescribeEndpoint", kind="endpoint", member="EndpointName")
    async def describe_endpoint(self, request: Params) -> Result:
        """An endpoint's state, with its variants' weights and counts, wanted and present."""
        endpoint = self._registry.get(request["EndpointName"])
        result = _summary(endpoint, self._registry.arn(endpoint.name)) | {"EndpointConfigName": endpoint.config_name}
        if endpoint.failure_reason:
            result["FailureReason"] = endpoint.failure_reason
        if endpoint.current is not None:
            result["ProductionVariants"] = self._variants(endpoint, endpoint.current)
        return result

    @operation("sagemaker", "ListEndpoints")
    async def list_endpoints(self, request: Params) -> Result:
        """A page of endpoints."""
        status = request.get("StatusEquals")
        after = seconds(request.get("LastModifiedTimeAfter"))
        before = seconds(request.get("LastModifiedTimeBefore"))

        def keep(endpoint: Endpoint) -> bool:
            return (
                (status is None or endpoint.status == status)
                and (after is None or endpoint.modified_at >= after)
                and (before is None or endpoint.modified_at <= before)
            )

        found = page(self._records.all(), read_query(request), keep)
        rows = [_summary(endpoint, self._registry.arn(endpoint.name)) for endpoint in found.items]
        return with_token({"Endpoints": rows}, found.token)

    @operation("sagemaker", "UpdateEndpoint", kind="endpoint", member="EndpointName")
    async def update_endpoint(self, request: Params) -> Result:
        """Roll over to another configuration; no request is dropped."""
        _refuse_deployment_config(request)
        name = request["EndpointName"]
        retain = request.get("RetainAllVariantProperties", False)
        await self._endpoints.update(name, request["EndpointConfigName"], retain_variants=retain)
        return {"EndpointArn": self._registry.arn(name)}

    @operation("sagemaker", "UpdateEndpointWeightsAndCapacities", kind="endpoint", member="EndpointName")
    async def update_endpoint_weights_and_capacities(self, request: Params) -> Result:
        """Change variants' shares of the traffic and numbers of replicas."""
        name = request["EndpointName"]
        changes = [
            VariantChange(wanted["VariantName"], wanted.get("DesiredWeight"), wanted.get("DesiredInstanceCount"))
            for wanted in request["DesiredWeightsAndCapacities"]
        ]
        await self._endpoints.scale(name, changes)
        return {"EndpointArn": self._registry.arn(name)}

    @operation("sagemaker", "DeleteEndpoint", kind="endpoint", member="EndpointName")
    async def delete_endpoint(self, request: Params) -> Result:
        """Take an endpoint down; answers at once, while it is Deleting."""
        await self._endpoints.delete(request["EndpointName"])
        return {}

    def _variants(self, endpoint: Endpoint, current: Deployment) -> list[dict[str, Any]]:
        wanted = {deployed.variant.name: deployed for deployed in (endpoint.target or current).variants}
        return [
            self._variant(endpoint.name, current, deployed, wanted.get(deployed.variant.name, deployed))
            for deployed in current.variants
        ]

    def _variant(
        self, endpoint: str, current: Deployment, deployed: DeployedVariant, wanted: DeployedVariant
    ) -> dict[str, Any]:
        status = self._fleet.status(SetKey(endpoint, current.id, deployed.variant.name))
        row: dict[str, Any] = {
            "VariantName": deployed.variant.name,
            "CurrentWeight": deployed.variant.weight,
            "DesiredWeight": wanted.variant.weight,
            "CurrentInstanceCount": status.ready,
            "DesiredInstanceCount": wanted.variant.count,
        }
        if deployed.container.image:
            row["DeployedImages"] = [{"SpecifiedImage": deployed.container.image}]
        return row


def _summary(endpoint: Endpoint, arn: str) -> dict[str, Any]:
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": arn,
        "EndpointStatus": endpoint.status.value,
        "CreationTime": moment(endpoint.created_at),
        "LastModifiedTime": moment(endpoint.modified_at),
    }


def _refuse_deployment_config(request: Params) -> None:
    """A blue/green policy with alarms or canaries is not honoured, so it is not accepted."""
    policy = request.get("DeploymentConfig", {})
    shift = policy.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {}).get("Type", "ALL_AT_ONCE")
    if shift != "ALL_AT_ONCE" or policy.get("AutoRollbackConfiguration", {}).get("Alarms"):
        raise Unsupported(
            f"A DeploymentConfig with {shift} traffic shifting or alarms is not implemented by Saker.",
            fix="Leave it out: an update starts the new replicas, shifts all traffic, then drains the old ones.",
        )
