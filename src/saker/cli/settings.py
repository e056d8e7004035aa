"""saker settings"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from saker.cli.groups import Group
from saker.cli.options import json_option, platform_options

if TYPE_CHECKING:
    from saker.settings import Settings


@click.group("settings", cls=Group, default="show")
def command() -> None:
    """Show every setting, its value and where it comes from.

    Strongest first: command line, environment (SAKER_<NAME>), settings.toml in the data folder, default.
    """


@command.command("show")
@json_option
@platform_options
def show(settings: Settings, as_json: bool) -> None:
    """Show every setting. A running platform keeps those that it was started with."""
    from saker.cli import output

    rows = describe(settings)
    if as_json:
        output.show_json(rows)
        return
    table = [(row["name"], "" if row["value"] is None else row["value"], row["source"], row["help"]) for row in rows]
    output.show_table(("SETTING", "VALUE", "FROM", "MEANING"), table, empty="")


def describe(settings: Settings) -> list[dict[str, Any]]:
    """Name, value, source and help of every setting; a secret's value is stars, or empty."""
    import dataclasses
    from pathlib import Path

    from saker.settings import Secret

    def shown(value: Any) -> Any:
        if isinstance(value, Secret):
            return "**********" if value else ""
        return ("" if value == Path("") else str(value)) if isinstance(value, Path) else value

    return [
        {
            "name": field.name,
            "value": shown(getattr(settings, field.name)),
            "source": settings.sources[field.name],
            "help": field.metadata["help"],
        }
        for field in dataclasses.fields(settings)
        if field.name != "sources"
    ]
