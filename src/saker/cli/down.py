"""saker down"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from saker.cli.options import platform_options

if TYPE_CHECKING:
    from saker.settings import Settings


@click.command()
@click.option(
    "--timeout", "timeout_s", type=float, default=60.0, show_default=True, help="Seconds to wait for its end."
)
@platform_options
def command(settings: Settings, timeout_s: float) -> None:
    """Stop the platform.

    Running requests may finish first. Endpoints stay wanted: the next `saker up` brings them back.
    """
    from saker.cli import daemon

    holder = daemon.stop(settings, timeout_s=timeout_s)
    if holder is None:
        click.echo(f"No platform runs with data folder {settings.home}.")
    else:
        click.echo(f"The platform with process id {holder.pid} has ended.")
