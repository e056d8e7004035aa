"""Finds the tokenizer of a model that is on this machine: no network, and no store that a platform may be using."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from saker.core.errors import InvalidInput, NotFound, Unsupported
from saker.core.suggest import nearest
from saker.models.source import ModelSource
from saker.models.store import EMBEDDED

TOKENIZER = "tokenizer.json"
_DOWNLOADED = re.compile(r"(?P<id>.+)-[0-9a-f]{16}")  # as download.py names folders


def find_tokenizer(source: ModelSource, downloads: Path, here: Path) -> Path:
    """The folder with the model's tokenizer.json.

    Args:
        source: Any that can be deployed.
        downloads: Where a store keeps models of the hub.
        here: Where relative paths start; a misspelt one is looked for there.

    Raises:
        NotFound: The model is not on this machine; names the nearest that is.
        InvalidInput: Several downloads of it have tokenizers that differ.
        Unsupported: It has no tokenizer.json.
    """
    if source.kind == "embedded":
        return EMBEDDED
    if source.kind == "gguf" or source.file:
        raise Unsupported(
            f"The model {str(source)!r} has no {TOKENIZER}.",
            why="A GGUF file holds its tokenizer in a form of its own, which only the engine 'genai' reads.",
            fix="Name the model's safetensors or OpenVINO folder.",
        )
    return _in_folder(Path(source.location)) if source.kind == "folder" else _downloaded(source, downloads, here)


def _in_folder(folder: Path) -> Path:
    if (folder / TOKENIZER).is_file():
        return folder
    if not folder.is_dir():
        near = nearest(folder.name, _neighbours(folder.parent))
        raise NotFound(
            f"There is no model folder {str(folder)!r}.",
            fix=f"Did you mean {str(folder.parent / near)!r}?" if near else "Name a folder with tokenizer.json.",
        )
    raise Unsupported(
        f"The folder {str(folder)!r} has no {TOKENIZER}.",
        why="The engine 'paged' and its mark need the tokenizer in this form.",
        fix="Write it there: AutoTokenizer.from_pretrained(folder).save_pretrained(folder).",
    )


def _downloaded(source: ModelSource, downloads: Path, here: Path) -> Path:
    folders = [folder for id, folder in _by_id(downloads) if id == source.location]
    if not folders:
        raise _not_here(source, downloads, here)
    able = [folder for folder in folders if (folder / TOKENIZER).is_file()] or [_in_folder(folders[0])]
    if len({(folder / TOKENIZER).read_bytes() for folder in able}) > 1:
        raise InvalidInput(
            f"The model {source.location!r} was downloaded {len(able)} times, with tokenizers that differ.",
            why=f"They are in {', '.join(map(str, able))}.",
            fix="Name one of these folders.",
        )
    return able[0]


def _not_here(source: ModelSource, downloads: Path, here: Path) -> NotFound:
    known = {id for id, _ in _by_id(downloads)} | {*_neighbours(here), "embedded"}
    near = nearest(source.location, known)
    get = f"Deploy it, which downloads it (saker deploy {source.location}), or name a folder with {TOKENIZER}."
    return NotFound(
        f"The model {source.location!r} is not on this machine.",
        why=f"{str(here)!r} has no folder of this name, and {str(downloads)!r} no download of this hub id.",
        fix=f"Did you mean {near!r}? {get}" if near else get,
    )


def _by_id(downloads: Path) -> Iterator[tuple[str, Path]]:
    """Every finished download with its hub id, in order of their names."""
    for folder in sorted(downloads.glob("*")):
        match = _DOWNLOADED.fullmatch(folder.name)
        if match is not None:
            yield match["id"].replace("--", "/"), folder


def _neighbours(folder: Path) -> list[str]:
    """The names of the folders in this one that have a tokenizer."""
    return [path.parent.name for path in folder.glob(f"*/{TOKENIZER}")]
