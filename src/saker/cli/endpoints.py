"""saker endpoints"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from saker.cli.groups import Group
from saker.cli.options import complete_endpoint, endpoint_argument, json_option, platform_options, yes_option

if TYPE_CHECKING:
    from saker.cli.client import Client
    from saker.settings import Settings

wait_option = click.option("--wait/--no-wait", default=True, help="Whether to wait until it is done. Default: wait.")


@click.group("endpoints", cls=Group, default="list")
def command() -> None:
    """List, describe, watch, scale and delete endpoints."""


@command.command("list")
@json_option
@platform_options
def list_endpoints(settings: Settings, as_json: bool) -> None:
    """List endpoints, newest first."""
    from saker.cli import output
    from saker.cli.client import Client

    found = list(Client(settings).sagemaker.pages("list_endpoints", "Endpoints"))
    if as_json:
        output.show_json(found)
        return
    rows = [(e["EndpointName"], e["EndpointStatus"], e["CreationTime"], e["LastModifiedTime"]) for e in found]
    empty = "No endpoints. Deploy a model: saker deploy PATH_OR_ID"
    output.show_table(("ENDPOINT", "STATUS", "CREATED", "CHANGED"), rows, empty=empty)


@command.command("describe")
@endpoint_argument
@json_option
@platform_options
def describe_endpoint(settings: Settings, name: str, as_json: bool) -> None:
    """Show an endpoint's state and its variants."""
    from saker.cli import output
    from saker.cli.client import Client

    found = Client(settings).sagemaker("describe_endpoint", EndpointName=name)
    found.pop("ResponseMetadata")
    if as_json:
        output.show_json(found)
    else:
        _show(found)


@command.command("logs")
@endpoint_argument
@click.option("--follow", "-f", is_flag=True, help="Go on with new lines as they are written, until Ctrl-C.")
@click.option("--tail", "-n", type=click.IntRange(0), default=100, show_default=True, help="Lines from the end.")
@click.option("--replica", help="Only the stream whose name ends so; 'deployment' is the deployments' own.")
@json_option
@platform_options
def show_logs(settings: Settings, name: str, follow: bool, tail: int, replica: str | None, as_json: bool) -> None:
    """Show what an endpoint's replicas and deployments have written."""
    from saker.cli.client import Client
    from saker.cli.logs import show

    show(Client(settings), name, follow=follow, tail=tail, replica=replica, as_json=as_json)


@command.command("wait")
@endpoint_argument
@click.option("--timeout", "timeout_s", type=float, help="Seconds. Default: as long as it changes.")
@platform_options
def wait(settings: Settings, name: str, timeout_s: float | None) -> None:
    """Wait until an endpoint serves. The exit code is 1 when it fails to."""
    from saker.cli.client import Client

    _wait(Client(settings), name, f"Waiting for {name!r}", timeout_s)
    click.echo(f"Endpoint {name!r} is in service.")


@command.command("scale")
@endpoint_argument
@click.option("--count", type=click.IntRange(0), required=True, help="Replicas.")
@click.option("--variant", help="The production variant. Default: the only one.")
@wait_option
@platform_options
def scale(settings: Settings, name: str, count: int, variant: str | None, wait: bool) -> None:
    """Change how many replicas an endpoint has."""
    from saker.cli.client import Client

    client = Client(settings)
    variant = variant or _only_variant(client, name)
    change = {"VariantName": variant, "DesiredInstanceCount": count}
    client.sagemaker("update_endpoint_weights_and_capacities", EndpointName=name, DesiredWeightsAndCapacities=[change])
    if wait:
        _wait(client, name, f"Scaling {name!r} to {count}", None)
    click.echo(f"Variant {variant!r} of endpoint {name!r} {'has' if wait else 'will have'} {count} replicas.")


@command.command("delete")
@click.argument("names", nargs=-1, required=True, shell_complete=complete_endpoint)
@yes_option
@wait_option
@platform_options
def delete_endpoints(settings: Settings, names: tuple[str, ...], is_agreed: bool, wait: bool) -> None:
    """Delete endpoints; with them what `saker deploy` made for them."""
    from saker.cli import deployment, watch
    from saker.cli.client import Client

    client = Client(settings)
    configs = {name: client.sagemaker("describe_endpoint", EndpointName=name)["EndpointConfigName"] for name in names}
    if not is_agreed:
        _agree(names)
    for name, config in configs.items():
        client.sagemaker("delete_endpoint", EndpointName=name)
        deployment.remove_made(client, config)
    for name in configs:
        if wait:
            watch.wait_until_gone(client, name)
        click.echo(f"Endpoint {name!r} {'is' if wait else 'is being'} deleted.")


def _show(found: dict[str, Any]) -> None:
    from saker.cli import output

    output.show_fields(
        {
            "Endpoint": found["EndpointName"],
            "Status": found["EndpointStatus"],
            "Reason": found.get("FailureReason"),
            "Configuration": found["EndpointConfigName"],
            "Created": found["CreationTime"],
            "Changed": found["LastModifiedTime"],
            "ARN": found["EndpointArn"],
        }
    )
    variants = [
        (v["VariantName"], f"{v['CurrentInstanceCount']} of {v['DesiredInstanceCount']}", v["DesiredWeight"])
        for v in found.get("ProductionVariants", [])
    ]
    if variants:
        click.echo()
        output.show_table(("VARIANT", "REPLICAS", "WEIGHT"), variants, empty="")


def _wait(client: Client, name: str, title: str, timeout_s: float | None) -> None:
    from saker.cli import watch

    with watch.progress(title) as tell:
        log = watch.DeploymentLog(client, name)
        watch.check_in_service(watch.wait_until_settled(client, name, tell, log=log, timeout_s=timeout_s))


def _only_variant(client: Client, name: str) -> str:
    from saker.core.errors import InvalidInput

    described = client.sagemaker("describe_endpoint", EndpointName=name)
    variants = [variant["VariantName"] for variant in described.get("ProductionVariants", [])]
    if len(variants) != 1:
        raise InvalidInput(f"Endpoint {name!r} has {len(variants)} variants.", fix="Name one with --variant.")
    return str(variants[0])


def _agree(names: tuple[str, ...]) -> None:
    import sys

    from saker.core.errors import InvalidInput

    if not sys.stdin.isatty():
        raise InvalidInput("Deleting was not confirmed.", why="Nobody is at the terminal to ask.", fix="Add --yes.")
    click.confirm(f"Delete {', '.join(names)}?", abort=True)
