"""saker env"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click

from saker.cli.options import platform_options

if TYPE_CHECKING:
    from saker.access.credentials import RootCredentials
    from saker.settings import Settings

UNSET = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_ENDPOINT_URL_SAGEMAKER",
    "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME",
    "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
)
"""What would win over the variables that are set, and send clients elsewhere."""

Render = Callable[[Mapping[str, str]], list[str]]


@click.command()
@click.option(
    "--sh", "shell", flag_value="sh", default="sh", help="For bash, zsh and other POSIX shells (the default)."
)
@click.option("--fish", "shell", flag_value="fish", help="For fish: saker env --fish | source")
@click.option("--powershell", "shell", flag_value="powershell", help="For PowerShell.")
@click.option("--dotenv", "shell", flag_value="dotenv", help="As an .env file.")
@click.option("--json", "shell", flag_value="json", help="As a JSON object; null where a variable must not be set.")
@platform_options
def command(settings: Settings, shell: str) -> None:
    """Print what points AWS and OpenAI clients at the platform.

    \b
    eval "$(saker env)"
    """
    from saker.cli import myself, output
    from saker.cli.client import locate, read_credentials
    from saker.storage.lock import FolderLock

    variables = make_variables(locate(settings), read_credentials(settings))
    if FolderLock(settings.home).holder() is None:
        output.note(f"# The platform does not run with data folder {settings.home}; start it with: saker up --detach")
    for line in [*SHELLS[shell](variables), *myself.shell_function(shell)]:
        click.echo(line)


def make_variables(settings: Settings, root: RootCredentials) -> dict[str, str]:
    """The variables that clients read."""
    return {
        "AWS_ENDPOINT_URL": settings.url,
        "AWS_ACCESS_KEY_ID": root.access_key_id,
        "AWS_SECRET_ACCESS_KEY": root.secret_access_key,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_REGION": settings.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "OPENAI_BASE_URL": f"{settings.url}/v1",
        "OPENAI_API_KEY": root.bearer_key,
    }


def _sh(variables: Mapping[str, str]) -> list[str]:
    import shlex

    return [f"unset {' '.join(UNSET)}", *(f"export {name}={shlex.quote(text)}" for name, text in variables.items())]


def _fish(variables: Mapping[str, str]) -> list[str]:
    def quote(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    return [*(f"set -e {name}" for name in UNSET), *(f"set -gx {name} {quote(v)}" for name, v in variables.items())]


def _powershell(variables: Mapping[str, str]) -> list[str]:
    removed = ",".join(f"Env:{name}" for name in UNSET)
    lines = [f"Remove-Item {removed} -ErrorAction SilentlyContinue"]
    for name, text in variables.items():
        quoted = text.replace("'", "''")
        lines.append(f"$env:{name} = '{quoted}'")
    return lines


def _dotenv(variables: Mapping[str, str]) -> list[str]:
    """Plain where it can be, since Docker takes quotes for part of the value."""
    import re

    def quote(text: str) -> str:
        if re.fullmatch(r"[\w:/.@+=-]*", text, re.ASCII):
            return text
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    return [f"{name}={quote(text)}" for name, text in variables.items()]


def _json(variables: Mapping[str, str]) -> list[str]:
    import json

    return [json.dumps(dict(variables) | dict.fromkeys(UNSET), indent=2)]


SHELLS: dict[str, Render] = {"sh": _sh, "fish": _fish, "powershell": _powershell, "dotenv": _dotenv, "json": _json}
