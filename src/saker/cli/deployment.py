"""The steps of a deployment through SageMaker's API; a step that fails takes back what the ones before it made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saker.cli import watch
from saker.core import ids
from saker.core.errors import EngineFailure, NotFound, SakerError

if TYPE_CHECKING:
    from saker.cli.client import Client
    from saker.models.source import ModelSource

VARIANT = "AllTraffic"
TAGS = [{"Key": "created-by", "Value": "saker deploy"}]
"""Marks models and configurations that belong to one endpoint only, and go with it."""

ROLE = "arn:aws:iam::{account_id}:role/saker"
"""CreateModel asks for a role; nothing here assumes it."""

_MAX_NAME = 63  # Source: the API's pattern for endpoint, model and configuration names


@dataclass(frozen=True, slots=True)
class Plan:
    """What shall run."""

    endpoint: str
    environment: Mapping[str, str]
    count: int
    instance_type: str


def default_name(source: ModelSource) -> str:
    """An endpoint name made of the model's own.

    >>> from saker.models.source import ModelSource
    >>> default_name(ModelSource.parse("HuggingFaceTB/SmolLM2-360M-Instruct"))
    'smollm2-360m-instruct'
    """
    last = source.file or source.location or source.kind
    stem = Path(last).name.removesuffix(".gguf")
    name = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:_MAX_NAME].rstrip("-")
    return name or "model"


def exists(client: Client, endpoint: str) -> bool:
    """Whether there is an endpoint of that name."""
    try:
        client.sagemaker("describe_endpoint", EndpointName=endpoint)
    except NotFound:
        return False
    return True


def deploy(client: Client, plan: Plan, tell: watch.Tell, *, is_update: bool, waits: bool) -> None:
    """Make model, configuration and endpoint; with `waits`, until the endpoint serves.

    Raises:
        EngineFailure: The endpoint did not come into service. Nothing that was made stays.
        SakerError: A step was refused. Nothing that was made stays.
    """
    log = watch.DeploymentLog(client, plan.endpoint)
    before = _config_of(client, plan.endpoint) if is_update else ""
    # Names of their own for each deployment: a second one leaves what the first runs on as it is.
    unique = f"{plan.endpoint[: _MAX_NAME - 9]}-{ids.short_id()}"
    undo = _request(client, plan, unique, is_update=is_update)
    if not waits:
        return
    try:
        _wait(client, plan.endpoint, unique, tell, log)
    except EngineFailure as error:
        if not is_update:
            _delete_endpoint(client, plan.endpoint)
        undo.close()
        what = f"Endpoint {plan.endpoint!r} was not {'updated; it is as it was' if is_update else 'deployed'}."
        raise EngineFailure(what, why=error.why, fix=error.fix) from error
    if before:
        remove_made(client, before)


def _request(client: Client, plan: Plan, unique: str, *, is_update: bool) -> ExitStack:
    """Ask for everything; returns what deletes the model and the configuration again."""
    with ExitStack() as undo:
        client.sagemaker("create_model", **_model(client, unique, plan))
        undo.callback(_try, client, "delete_model", ModelName=unique)
        client.sagemaker("create_endpoint_config", **_config(unique, plan))
        undo.callback(_try, client, "delete_endpoint_config", EndpointConfigName=unique)
        operation = "update_endpoint" if is_update else "create_endpoint"
        client.sagemaker(operation, EndpointName=plan.endpoint, EndpointConfigName=unique)
        return undo.pop_all()


def _wait(client: Client, endpoint: str, config: str, tell: watch.Tell, log: watch.DeploymentLog) -> None:
    description = watch.wait_until_settled(client, endpoint, tell, log=log)
    watch.check_in_service(description)
    if description["EndpointConfigName"] != config:
        raise watch.failure(description)


def remove_made(client: Client, config: str) -> None:
    """Delete a configuration and its models, where `saker deploy` made them; others stay."""
    with suppress(NotFound):
        described = client.sagemaker("describe_endpoint_config", EndpointConfigName=config)
        if not _is_made_here(client, described["EndpointConfigArn"]):
            return
        client.sagemaker("delete_endpoint_config", EndpointConfigName=config)
        for variant in described["ProductionVariants"]:
            model = client.sagemaker("describe_model", ModelName=variant["ModelName"])
            if _is_made_here(client, model["ModelArn"]):
                client.sagemaker("delete_model", ModelName=variant["ModelName"])


def _model(client: Client, name: str, plan: Plan) -> dict[str, Any]:
    return {
        "ModelName": name,
        "PrimaryContainer": {"Environment": dict(plan.environment)},
        "ExecutionRoleArn": ROLE.format(account_id=client.settings.account_id),
        "Tags": TAGS,
    }


def _config(name: str, plan: Plan) -> dict[str, Any]:
    variant = {
        "VariantName": VARIANT,
        "ModelName": name,
        "InitialInstanceCount": plan.count,
        "InitialVariantWeight": 1.0,
        "InstanceType": plan.instance_type,
    }
    return {"EndpointConfigName": name, "ProductionVariants": [variant], "Tags": TAGS}


def _delete_endpoint(client: Client, endpoint: str) -> None:
    with suppress(SakerError):
        client.sagemaker("delete_endpoint", EndpointName=endpoint)
        watch.wait_until_gone(client, endpoint, timeout_s=30)


def _try(client: Client, operation: str, **members: str) -> None:
    """Take something back; that this fails too is not what the user must hear about."""
    with suppress(SakerError):
        client.sagemaker(operation, **members)


def _config_of(client: Client, endpoint: str) -> str:
    return str(client.sagemaker("describe_endpoint", EndpointName=endpoint)["EndpointConfigName"])


def _is_made_here(client: Client, arn: str) -> bool:
    return any(tag in TAGS for tag in client.sagemaker("list_tags", ResourceArn=arn)["Tags"])
