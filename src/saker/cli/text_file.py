"""Reads the text that a command is about, from a file or from standard input."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from saker.core.errors import InvalidInput, NotFound, PermissionDenied, TooLarge

MAX_BYTES = 16 * 1024**2
"""More is hardly one text, and would take minutes."""


def read_text(file: str) -> str:
    """The text in a file, or on standard input for "-"; without the line break at its end.

    Raises:
        NotFound: There is no such file; names the nearest.
        InvalidInput: It is a folder, empty, too long, or no text.
        PermissionDenied: It may not be read.
    """
    name = "Standard input" if file == "-" else f"The file {file!r}"
    raw = _read_stdin() if file == "-" else _read_file(Path(file))
    if len(raw) > MAX_BYTES:
        raise TooLarge(f"{name} is too long.", why=f"The limit is {MAX_BYTES:,} bytes.", fix="Give a part of it.")
    text = _decode(name, raw).replace("\r\n", "\n").removesuffix("\n")  # as models write lines, and without echo's
    if not text.strip():
        raise InvalidInput(f"{name} is empty.", fix="Give the text in a file, or through a pipe.")
    return text


def _read_stdin() -> bytes:
    if sys.stdin.isatty():
        click.echo("Paste the text, then Ctrl-D:", err=True)
    return sys.stdin.buffer.read(MAX_BYTES + 1)


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _missing(path) from None
    except IsADirectoryError:
        raise InvalidInput(f"{str(path)!r} is a folder.", fix="Name one file.") from None
    except PermissionError:
        raise PermissionDenied(f"The file {str(path)!r} may not be read.", fix="Check its permissions.") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise InvalidInput(f"The file {str(path)!r} cannot be read.", why=f"{error}.") from None


def _missing(path: Path) -> NotFound:
    from saker.core.suggest import did_you_mean

    there = [entry.name for entry in path.parent.iterdir() if entry.is_file()] if path.parent.is_dir() else []
    fix = did_you_mean(path.name, there) or "Check the path; - reads standard input."
    return NotFound(f"There is no file {str(path)!r}.", fix=fix)


def _decode(name: str, raw: bytes) -> str:
    fix = "Give plain text in UTF-8; take the text out of a document first."
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name} is not UTF-8 text.", why=f"Byte {error.start} is no part of it.", fix=fix) from None
    if "\0" in text:
        raise InvalidInput(f"{name} is binary.", why=f"Character {text.index(chr(0))} is a null.", fix=fix)
    return text
