"""How an endpoint's record changes: when another deployment is wanted, and when that has come up or has not. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from saker.core.errors import SakerError
from saker.serving.base import Deployment, Endpoint, EndpointStatus

MAX_REASON = 1024
"""Characters of a FailureReason. Source: the DescribeEndpoint API page."""

COMING_UP = frozenset(
    {
        EndpointStatus.CREATING,
        EndpointStatus.UPDATING,
        EndpointStatus.SYSTEM_UPDATING,
        EndpointStatus.ROLLING_BACK,
    }
)
"""The states in which something is brought up."""


def wanted_deployment(endpoint: Endpoint) -> Deployment | None:
    """What shall run in the end; None when nothing shall."""
    if endpoint.status in (EndpointStatus.FAILED, EndpointStatus.DELETING):
        return None
    return endpoint.target or endpoint.current


def kept_deployments(endpoint: Endpoint) -> set[str]:
    """Ids of the deployments whose replicas must stay: what is routed to, and what comes up."""
    if endpoint.status in (EndpointStatus.FAILED, EndpointStatus.DELETING):
        return set()
    return {deployment.id for deployment in (endpoint.current, endpoint.target) if deployment is not None}


def updating(endpoint: Endpoint, target: Deployment) -> Endpoint:
    """Another deployment is wanted. The one before goes on meanwhile, and is gone back to when this one fails."""
    # A failed endpoint runs nothing that requests could wait for or that an update could go back to.
    current = None if endpoint.status == EndpointStatus.FAILED else endpoint.current
    return replace(
        endpoint,
        status=EndpointStatus.UPDATING,
        current=current,
        target=target,
        failure_reason="",
        config_name=target.config_name,
    )


def after_restart(endpoint: Endpoint) -> Endpoint:
    """What was in service before the platform stopped is brought back; everything else goes on where it was.

    So is what could not be brought back the last time: memory may be free again, a disk mounted.
    """
    was_up = endpoint.current is not None and endpoint.status in (EndpointStatus.IN_SERVICE, EndpointStatus.FAILED)
    if not was_up:
        return endpoint
    return replace(endpoint, status=EndpointStatus.SYSTEM_UPDATING, target=None, failure_reason="")


def after_success(endpoint: Endpoint, deployment: Deployment) -> Endpoint:
    """The deployment is up: requests go to it from now on. Unchanged when something else is wanted by now."""
    if wanted_deployment(endpoint) != deployment or endpoint.status not in COMING_UP:
        return endpoint
    return replace(
        endpoint,
        status=EndpointStatus.IN_SERVICE,
        current=deployment,
        target=None,
        config_name=deployment.config_name,
    )


def after_failure(endpoint: Endpoint, deployment: Deployment, error: SakerError) -> Endpoint:
    """The deployment did not come up: back to the one before where there is one, else failed."""
    if wanted_deployment(endpoint) != deployment or endpoint.status not in COMING_UP:
        return endpoint
    reason = str(error)[:MAX_REASON]
    if endpoint.status == EndpointStatus.UPDATING and endpoint.current is not None:
        return replace(
            endpoint,
            status=EndpointStatus.ROLLING_BACK,
            target=None,
            config_name=endpoint.current.config_name,
            failure_reason=reason,
        )
    return replace(endpoint, status=EndpointStatus.FAILED, failure_reason=reason)
