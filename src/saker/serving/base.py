"""The plain data of serving: models, endpoint configurations, endpoints, and what an endpoint runs."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

LEAST_OUTSTANDING_REQUESTS = "LEAST_OUTSTANDING_REQUESTS"
"""The routing strategy where a configuration names none: short and long answers mix, so load says more than luck."""


class EndpointStatus(StrEnum):
    """The states of an endpoint, as SageMaker names them.

    Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html
    """

    CREATING = "Creating"
    IN_SERVICE = "InService"
    UPDATING = "Updating"
    SYSTEM_UPDATING = "SystemUpdating"
    """The platform was started again and brings the endpoint back."""
    ROLLING_BACK = "RollingBack"
    FAILED = "Failed"
    DELETING = "Deleting"


class Container(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a model runs in: which image family, with which environment and weights."""

    image: str = ""
    environment: dict[str, str] = {}
    model_data: str = ""
    """Where the weights are, when the environment does not say: a URL or path."""


class Model(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model that endpoint configurations can name."""

    name: str
    created_at: float
    container: Container
    description: dict[str, Any] = {}
    """Whatever else the caller gave, returned as it was."""


class Variant(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model behind an endpoint, with its share of the traffic."""

    name: str
    model_name: str
    count: int = 1
    """Wanted replicas, at least 0."""
    weight: float = 1.0
    """Share of the traffic relative to the other variants' weights, 0 or above."""
    instance_type: str = ""
    routing: str = LEAST_OUTSTANDING_REQUESTS
    description: dict[str, Any] = {}


class EndpointConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """A plan that endpoints are made from."""

    name: str
    created_at: float
    variants: tuple[Variant, ...]
    description: dict[str, Any] = {}


class DeployedVariant(msgspec.Struct, frozen=True, omit_defaults=True):
    """A variant with its model's container, so that an endpoint outlives the records it was made from."""

    variant: Variant
    container: Container


class Deployment(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an endpoint runs: a configuration, resolved."""

    id: str
    config_name: str
    variants: tuple[DeployedVariant, ...]


class Endpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """An endpoint: what it runs, what it shall run, and how far it is."""

    name: str
    status: EndpointStatus
    created_at: float
    modified_at: float
    config_name: str
    current: Deployment | None = None
    """What requests are routed to."""
    target: Deployment | None = None
    """What is being brought up to replace `current`; None when nothing changes."""
    failure_reason: str = ""
    description: dict[str, Any] = {}

    @property
    def takes_requests(self) -> bool:
        """Whether requests may be sent, though they may have to wait for a replica."""
        return self.current is not None and self.status not in (EndpointStatus.DELETING, EndpointStatus.FAILED)
