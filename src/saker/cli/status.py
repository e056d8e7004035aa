"""saker status"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from saker.cli.options import json_option, platform_options

if TYPE_CHECKING:
    from saker.settings import Settings


@click.command()
@json_option
@platform_options
def command(settings: Settings, as_json: bool) -> None:
    """Show whether the platform runs, and its endpoints.

    The exit code is 1 when it does not run.
    """
    from saker.cli import output
    from saker.cli.client import Client
    from saker.core.errors import Unavailable

    try:
        status: dict[str, Any] = {"is_running": True} | Client(settings).call("GET", "/saker/status")
    except Unavailable as error:
        if as_json:
            output.show_json({"is_running": False, "home": str(settings.home), "reason": error.what})
            click.get_current_context().exit(1)
        raise
    if as_json:
        output.show_json(status)
    else:
        _show(status)


def _show(status: dict[str, Any]) -> None:
    from datetime import UTC, datetime

    from saker.cli import output

    started = datetime.fromisoformat(status["started_at"])
    output.show_fields(
        {
            "Running at": status["url"],
            "Process id": status["pid"],
            "Up for": output.duration((datetime.now(UTC) - started).total_seconds()),
            "Version": status["version"],
            "Account": f"{status['account_id']}, region {status['region']}",
            "Data folder": status["home"],
        }
    )
    click.echo()
    rows = [(entry["name"], entry["status"]) for entry in status["endpoints"]]
    output.show_table(("ENDPOINT", "STATUS"), rows, empty="No endpoints. Deploy a model: saker deploy PATH_OR_ID")
