"""saker engines"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from saker.cli.groups import Group
from saker.cli.options import json_option, platform_options, yes_option

if TYPE_CHECKING:
    from saker.models.base import Progress
    from saker.models.environments import EngineEnvironments
    from saker.settings import Settings


@click.group("engines", cls=Group, default="status")
def command() -> None:
    """Install, list and remove engine environments: libraries too heavy for the server's own."""


@command.command("install")
@click.argument("name")
@platform_options
def install(settings: Settings, name: str) -> None:
    """Make environment NAME; a finished one is left as it is. Takes minutes and gigabytes."""
    import asyncio

    environments = _environments(settings)
    with _progress(f"Installing {name}") as tell:
        status = asyncio.run(environments.install(name, tell))
    click.echo(f"Environment {name!r} is {status.state} in {status.path}.")


@command.command("status")
@json_option
@platform_options
def status(settings: Settings, as_json: bool) -> None:
    """List the environments, and what is installed in them."""
    from dataclasses import asdict

    from saker.cli import output

    environments = _environments(settings)
    found = [environments.status(name) for name in environments.names()]
    if as_json:
        output.show_json([asdict(entry) for entry in found])
        return
    rows = [
        (entry.name, entry.state, " ".join(f"{name} {v}" for name, v in list(entry.versions.items())[:3]), entry.path)
        for entry in found
    ]
    output.show_table(("ENVIRONMENT", "STATE", "VERSIONS", "FOLDER"), rows, empty="")


@command.command("remove")
@click.argument("name")
@yes_option
@platform_options
def remove(settings: Settings, name: str, is_agreed: bool) -> None:
    """Delete environment NAME. Endpoints whose engine needs it fail at their next start."""
    environments = _environments(settings)
    path = environments.status(name).path
    if not is_agreed:
        click.confirm(f"Delete {path}?", abort=True)
    environments.remove(name)
    click.echo(f"Environment {name!r} is removed.")


def _environments(settings: Settings) -> EngineEnvironments:
    from saker.models.environments import EngineEnvironments

    return EngineEnvironments(settings.engines_folder, pip_args=settings.pip_args)


@contextmanager
def _progress(title: str) -> Iterator[Callable[[Progress], None]]:
    """Shows what an installation does: the newest step in a terminal, each step on a line elsewhere."""
    from saker.cli import output

    if not sys.stderr.isatty():
        yield lambda progress: output.note(f"{title}: {progress.message}")
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(title)) as status:
        yield lambda progress: status.update(Text(f"{title}: {progress.message}"))
