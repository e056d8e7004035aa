"""saker keys"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from saker.cli.groups import Group
from saker.cli.options import json_option, platform_options

if TYPE_CHECKING:
    from saker.settings import Settings


@click.group("keys", cls=Group, default="list")
def command() -> None:
    """Make, list and revoke access keys: a key pair for AWS clients with a bearer key for OpenAI clients."""


@command.command("create")
@click.argument("name")
@json_option
@platform_options
def create_key(settings: Settings, name: str, as_json: bool) -> None:
    """Make a key for NAME and show its secrets, this once."""
    from saker.cli import output
    from saker.cli.client import Client

    key = Client(settings).call("POST", "/saker/keys", {"name": name})
    if as_json:
        output.show_json(key)
        return
    output.note("The secrets are shown only now; they are stored so that nobody can read them.")
    output.show_fields(
        {
            "Name": key["name"],
            "AWS_ACCESS_KEY_ID": key["id"],
            "AWS_SECRET_ACCESS_KEY": key["secret"],
            "OPENAI_API_KEY": key["bearer"],
        }
    )


@command.command("list")
@json_option
@platform_options
def list_keys(settings: Settings, as_json: bool) -> None:
    """List all keys but the root's, the revoked ones too."""
    from datetime import datetime

    from saker.cli import output
    from saker.cli.client import Client

    keys = Client(settings).call("GET", "/saker/keys")["keys"]
    if as_json:
        output.show_json(keys)
        return
    rows = [
        (key["id"], key["name"], "active" if key["is_active"] else "revoked", datetime.fromisoformat(key["created_at"]))
        for key in keys
    ]
    output.show_table(("ID", "NAME", "STATE", "CREATED"), rows, empty="No keys but the root's.")


@command.command("revoke")
@click.argument("key_id", metavar="ID")
@platform_options
def revoke_key(settings: Settings, key_id: str) -> None:
    """Make key ID worthless from now on."""
    from saker.cli.client import Client

    Client(settings).call("DELETE", f"/saker/keys/{quote(key_id, safe='')}")
    click.echo(f"Key {key_id} is revoked.")
