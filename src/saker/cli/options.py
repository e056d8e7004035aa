"""Options that many commands share, and the settings that come of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from saker.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


def home_options(function: F) -> F:
    """Add --home, --port and --debug. They may stand anywhere on the line; the last one given wins."""
    for add in (
        click.option("--debug", is_flag=True, expose_value=False, callback=_keep, help="Show tracebacks of faults."),
        click.option(
            "--port",
            type=click.IntRange(0, 65535),
            expose_value=False,
            callback=_keep,
            help="The platform's port. Default: that of the running one, else SAKER_PORT, else 8750.",
        ),
        click.option(
            "--home",
            type=click.Path(file_okay=False, path_type=Path),
            expose_value=False,
            callback=_keep,
            help="The data folder. Default: SAKER_HOME, else ~/.saker.",
        ),
    ):
        function = add(function)
    return function


def platform_options(function: Callable[Concatenate[Settings, P], R]) -> Callable[P, R]:
    """Add --home, --port and --debug, and pass the settings that come of them as the first argument."""

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(load_settings(), *args, **kwargs)

    return home_options(update_wrapper(call, function))


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")

yes_option = click.option("--yes", "-y", "is_agreed", is_flag=True, help="Do not ask.")


def given() -> dict[str, Any]:
    """What was given of the shared options, on this command and those above it."""
    found: dict[str, Any] = click.get_current_context().ensure_object(dict)
    return found


def load_settings(**overrides: Any) -> Settings:
    """The settings, with what the command line gave.

    Raises:
        InvalidInput: An unknown setting, or a value outside its range.
    """
    from saker.settings import load  # takes 30 ms, which no help text needs

    return load({"home": given().get("home"), "port": given().get("port"), **overrides})


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    assert parameter.name is not None
    if value is not None and value is not False:  # port 0 is a value
        context.ensure_object(dict)[parameter.name] = value
    return value


def complete_endpoint(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Names of endpoints, for the shell's completion; none when the platform does not answer."""
    from saker.cli.client import Client
    from saker.core.errors import SakerError

    try:
        with context:
            status = Client(load_settings()).call("GET", "/saker/status", timeout_s=1.0)
    except SakerError:
        return []
    return [entry["name"] for entry in status["endpoints"] if entry["name"].startswith(begun)]


def endpoint_argument(function: F) -> F:
    """Add the argument NAME, an endpoint's name."""
    return click.argument("name", shell_complete=complete_endpoint)(function)
