"""Writes results: coloured tables to a terminal, plain columns to a pipe, JSON when asked for."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.text import Text

STYLES = {
    "InService": "green",
    "ready": "green",
    "ok": "green",
    "Failed": "red",
    "fail": "red",
    "incomplete": "red",
    "warn": "yellow",
    "outdated": "yellow",
    "Creating": "yellow",
    "Updating": "yellow",
    "SystemUpdating": "yellow",
    "RollingBack": "yellow",
    "Deleting": "yellow",
}
"""How words of state look in a terminal."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def show_json(value: Any) -> None:
    """Print a value as JSON; times as ISO 8601."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_as_json))


def show_table(headings: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print a table; `empty` on standard error when it has no rows."""
    if not rows:
        note(empty)
        return
    cells = [[as_text(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _show_rich(headings, cells)
        return
    lines = [list(headings), *cells]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def show_fields(fields: Mapping[str, object]) -> None:
    """Print names with their values, one to a line; those that are None are left out."""
    shown = {name: as_text(value) for name, value in fields.items() if value is not None}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        click.echo(f"{name.ljust(width)}  {value}")


def note(text: str) -> None:
    """Tell people something beside the result: on standard error."""
    click.echo(text, err=True)


def as_text(value: object) -> str:
    """A value as people read it; local time for moments."""
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(str(value))


def printable(text: str) -> str:
    """The text without control characters: what a model writes must not steer the terminal."""
    return _CONTROL.sub("", text) if sys.stdout.isatty() else text


def moment(seconds: float) -> str:
    """A time in milliseconds' precision, UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def duration(seconds: float) -> str:
    """A length of time in its two largest units.

    >>> duration(93_784)
    '1 d 2 h'
    >>> duration(59)
    '59 s'
    """
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts: list[str] = []
    rest = int(seconds)
    for name, size in units:
        count, rest = divmod(rest, size)
        if count or (name == "s" and not parts):
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def size(count: float) -> str:
    """Bytes in the largest unit that keeps them above 1.

    >>> size(1536 * 1024**2)
    '1.5 GiB'
    """
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def _show_rich(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*headings, box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(_styled, row))
    Console().print(table)


def _styled(cell: str) -> Text:
    from rich.text import Text  # Text, so that brackets in names are no markup

    return Text(cell, style=STYLES.get(cell, ""), overflow="fold")


def _as_json(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Path):
        return str(value)
    raise TypeError(type(value).__name__)
