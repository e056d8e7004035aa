"""saker up"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from saker.cli.options import given, home_options, load_settings

if TYPE_CHECKING:
    from saker.settings import Settings


@click.command()
@click.option("--host", help="The address to listen on. Default: 127.0.0.1, which only this machine reaches.")
@click.option("--demo/--no-demo", default=None, help="Whether the first start deploys the embedded model as 'demo'.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="Default: info.")
@click.option("--detach", "-d", is_flag=True, help="Run in the background; end it with `saker down`.")
@click.option(
    "--timeout", "timeout_s", type=float, default=60.0, show_default=True, help="With --detach: seconds to wait."
)
@home_options
def command(host: str | None, demo: bool | None, log_level: str | None, detach: bool, timeout_s: float) -> None:
    """Start the platform.

    In the foreground until Ctrl-C, with its log on standard error; --detach puts it into the background.
    Everything it keeps is in the data folder: a second start finds every endpoint as it was.
    """
    overrides = {"host": host, "demo": demo, "log_level": log_level}
    settings = load_settings(**overrides)
    _check(settings)
    if detach:
        _start(settings, _arguments(settings, overrides), timeout_s)
        return
    _hint(settings)
    from saker.app import serve

    serve(settings)


def _check(settings: Settings) -> None:
    """Refuse what cannot work, before anything is started."""
    from saker.cli import ports
    from saker.core.errors import Conflict
    from saker.storage.lock import FolderLock

    holder = FolderLock(settings.home).holder()
    if holder is not None:
        raise Conflict(
            f"A platform runs with data folder {str(settings.home)!r} already.",
            why=f"It has process id {holder.pid} and port {holder.port}.",
            fix=f"Use it, stop it with `saker down{_home_option(settings)}`, or name another folder with --home.",
        )
    ports.check_free(settings)


def _hint(settings: Settings) -> None:
    """Tell a person at the terminal what to do meanwhile; a supervisor's log holds only the log."""
    import sys

    from saker.cli import myself

    if sys.stderr.isatty():
        home = _home_option(settings)
        click.echo(
            f"Ctrl-C ends it. Meanwhile, in another shell:\n"
            f'  eval "$({myself.typed()} env{home})"\n'
            f'  saker invoke demo "Once upon a time"{home}\n',
            err=True,
        )


def _start(settings: Settings, arguments: list[str], timeout_s: float) -> None:
    import dataclasses

    from saker.cli import daemon, myself, output

    output.note(f"Waiting for the platform to answer (log: {daemon.log_path(settings)})")
    holder = daemon.start(settings, arguments, timeout_s=timeout_s)
    url = dataclasses.replace(settings, port=holder.port).url
    home = _home_option(settings)
    click.echo(
        f"The platform runs at {url} (process id {holder.pid}, data in {settings.home}).\n\n"
        f"Next:\n"
        f'  eval "$({myself.typed()} env{home})"\n'
        f"  saker endpoints{home}\n"
        f'  saker invoke demo "Once upon a time"{home}\n'
        f"  saker down{home}"
    )


def _arguments(settings: Settings, overrides: dict[str, Any]) -> list[str]:
    """What the process in the background is started with: the same, with the folder made absolute."""
    arguments = ["--home", str(settings.home)]
    if given().get("port") is not None:
        arguments += ["--port", str(settings.port)]
    for name in ("host", "log_level"):
        if overrides[name] is not None:
            arguments += [f"--{name.replace('_', '-')}", str(overrides[name])]
    if overrides["demo"] is not None:
        arguments.append("--demo" if overrides["demo"] else "--no-demo")
    return arguments


def _home_option(settings: Settings) -> str:
    """What further commands must be given to find the same platform."""
    import shlex

    return f" --home {shlex.quote(str(settings.home))}" if settings.sources["home"] == "command line" else ""
