"""saker version"""

from __future__ import annotations

import click

import saker
from saker.cli.options import json_option


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Print Saker's version."""
    if as_json:
        from saker.cli import output

        output.show_json({"version": saker.__version__})
    else:
        click.echo(f"saker {saker.__version__}")
