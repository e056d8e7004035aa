"""The files of a folder, listed safely: nothing outside it, nothing hidden, nothing that is no file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saker.core.errors import InvalidInput, NotFound, PermissionDenied, TooLarge

MAX_FILES = 10_000
MAX_JSON_BYTES = 64 * 1024**2
MAX_DEPTH = 3


def list_files(folder: Path) -> dict[str, int]:
    """Names, relative to the folder, and bytes of all its files; hidden ones are left out.

    Raises:
        NotFound: There is no such folder.
        PermissionDenied: It cannot be read.
        InvalidInput: A link leads out of the folder, or there are too many files.
    """
    if not folder.is_dir():
        raise NotFound(
            f"There is no folder {str(folder)!r}.", fix="Check the path; it is seen from the platform's machine."
        )
    found: dict[str, int] = {}
    try:
        _walk(folder, "", _home(folder), found)
    except PermissionError as error:
        raise PermissionDenied(
            f"The model folder {str(folder)!r} cannot be read.",
            why=f"Access to {str(error.filename)!r} is denied.",
            fix="Let the user that runs the platform read it.",
        ) from None
    return found


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        InvalidInput: The file is empty, too large, not JSON, or no object.
    """
    try:
        size = path.stat().st_size
        if size > MAX_JSON_BYTES:
            raise TooLarge(f"{path.name!r} has {size:,} bytes.", why=f"The limit is {MAX_JSON_BYTES:,}.")
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        why = "It is empty." if path.stat().st_size == 0 else f"{error}."
        raise InvalidInput(f"{path.name!r} is not valid JSON.", why=why, fix="Copy the file again.") from None
    if not isinstance(content, dict):
        raise InvalidInput(f"{path.name!r} holds no JSON object.", why=f"It holds a {type(content).__name__}.")
    return content


def is_safe_name(name: str) -> bool:
    """Whether a file name that came from elsewhere stays inside the folder that it is joined to.

    >>> is_safe_name("config.json"), is_safe_name("../config.json"), is_safe_name("/etc/passwd")
    (True, False, False)
    """
    parts = name.split("/")
    return bool(name) and name.isprintable() and "\\" not in name and all(p not in ("", ".", "..") for p in parts)


def total_bytes(files: Mapping[str, int]) -> int:
    """The bytes of all files together."""
    return sum(files.values())


def _home(folder: Path) -> Path:
    """Where links may lead: the folder itself; in a Hugging Face cache the repository, as snapshots link to blobs."""
    real = folder.resolve()
    repository = real.parent.parent
    return repository if real.parent.name == "snapshots" and repository.name.startswith("models--") else real


def _walk(folder: Path, prefix: str, home: Path, found: dict[str, int]) -> None:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if entry.name.startswith("."):
                continue
            if entry.is_symlink():
                _check_link(Path(entry.path), home)
            if entry.is_dir(follow_symlinks=False):
                if prefix.count("/") < MAX_DEPTH:
                    _walk(Path(entry.path), f"{prefix}{entry.name}/", home, found)
            elif entry.is_file():
                found[prefix + entry.name] = entry.stat().st_size
            if len(found) > MAX_FILES:
                raise InvalidInput(
                    f"{str(folder)!r} holds more than {MAX_FILES:,} files.", fix="Name the model's own folder."
                )


def _check_link(link: Path, home: Path) -> None:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        raise InvalidInput(
            f"The link {link.name!r} in the model folder leads nowhere.", fix="Remove or mend it."
        ) from None
    if not target.is_relative_to(home):
        raise InvalidInput(
            f"The link {link.name!r} leads out of the model folder.",
            why="Files outside it could be served or overwritten unnoticed.",
            fix="Put the file itself in its place.",
        )
