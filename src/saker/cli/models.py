"""saker models"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from saker.cli.groups import Group
from saker.cli.options import json_option, platform_options

if TYPE_CHECKING:
    from saker.cli.client import Client
    from saker.settings import Settings


@click.group("models", cls=Group, default="list")
def command() -> None:
    """List and delete models: what endpoint configurations name. Endpoints that run one go on without it."""


@command.command("list")
@json_option
@platform_options
def list_models(settings: Settings, as_json: bool) -> None:
    """List models, newest first."""
    from saker.cli import output
    from saker.cli.client import Client

    client = Client(settings)
    names = [summary["ModelName"] for summary in client.sagemaker.pages("list_models", "Models")]
    models = [_without_metadata(client.sagemaker("describe_model", ModelName=name)) for name in names]
    if as_json:
        output.show_json(models)
        return
    rows = [(model["ModelName"], _source(model), model["CreationTime"]) for model in models]
    output.show_table(("MODEL", "SOURCE", "CREATED"), rows, empty="No models.")


@command.command("delete")
@click.argument("names", nargs=-1, required=True)
@platform_options
def delete_models(settings: Settings, names: tuple[str, ...]) -> None:
    """Delete models by name."""
    from saker.cli.client import Client

    client = Client(settings)
    for name in names:
        client.sagemaker("delete_model", ModelName=name)
        click.echo(f"Model {name!r} is deleted.")


def source_of_endpoint(client: Client, endpoint: str) -> str:
    """The model that an endpoint runs, as it was named when it was deployed.

    Raises:
        NotFound: There is no such endpoint, or what it was made from is deleted.
        InvalidInput: Its variants run several models.
    """
    from saker.core.errors import InvalidInput, NotFound

    config = client.sagemaker("describe_endpoint", EndpointName=endpoint)["EndpointConfigName"]
    try:
        variants = client.sagemaker("describe_endpoint_config", EndpointConfigName=config)["ProductionVariants"]
        models = [client.sagemaker("describe_model", ModelName=variant["ModelName"]) for variant in variants]
    except NotFound as error:
        what = f"The model that endpoint {endpoint!r} runs is not on record any more."
        raise NotFound(what, why=error.what, fix="Name it yourself, with --model.") from error
    sources = sorted({_source(model) for model in models})
    if len(sources) > 1:
        raise InvalidInput(
            f"Endpoint {endpoint!r} runs {len(sources)} models.",
            why=f"They are {', '.join(sources)}.",
            fix="Name one of them, with --model.",
        )
    return sources[0]


def _source(model: dict[str, Any]) -> str:
    container: dict[str, Any] = model.get("PrimaryContainer") or next(iter(model.get("Containers", [])), {})
    return str(container.get("Environment", {}).get("HF_MODEL_ID") or container.get("ModelDataUrl") or "")


def _without_metadata(response: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in response.items() if name != "ResponseMetadata"}
