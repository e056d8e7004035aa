"""Shows errors to people: what happened, why, and what to do."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from saker.core.errors import SakerError


def show_error(error: SakerError) -> None:
    """Write an error in its three parts to standard error."""
    show_parts(error.what, error.why, error.fix)


def show_parts(what: str, why: str = "", fix: str = "") -> None:
    """Write the three parts to standard error; empty ones are left out."""
    click.echo(f"{_style('Error:', fg='red')} {what}", err=True)
    for label, text in (("Why:", why), ("Fix:", fix)):
        if text:
            click.echo(f"  {_style(label, bold=True)} {text}", err=True)


def show_fault(error: Exception, *, is_debug: bool) -> None:
    """Write an error that nobody foresaw; its traceback only when asked for."""
    if is_debug:
        import traceback

        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
        return
    show_parts(
        "A fault in Saker stopped the command.",
        why=f"{type(error).__name__}: {str(error)[:300]}",
        fix="Run it again with --debug to see the traceback, and report it.",
    )


def uses_colour(stream: TextIO) -> bool:
    """Whether to colour what is written there: to a terminal, unless NO_COLOR is set (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def _style(text: str, *, fg: str | None = None, bold: bool = False) -> str:
    return click.style(text, fg=fg, bold=bold) if uses_colour(sys.stderr) else text
