"""Remembers what was prepared, so that asking again needs neither the network nor a second look at gigabytes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saker.models.base import MemoryEstimate, PreparedModel
from saker.models.files import list_files
from saker.models.fingerprint import stat_hash

VERSION = 1
"""Raised when a record's fields change; older records are then passed over."""


class Records:
    """Small JSON files in one folder, each written in one step."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> dict[str, Any] | None:
        """The record, or None when there is none that can be read."""
        try:
            content = json.loads((self._folder / f"{key}.json").read_bytes())
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) and content.get("version") == VERSION else None

    def keep(self, key: str, content: Mapping[str, Any]) -> None:
        """Write the record in place of any older one."""
        self._folder.mkdir(parents=True, exist_ok=True)
        new = self._folder / f"{key}.{os.getpid()}.new"
        new.write_text(json.dumps({"version": VERSION, **content}, indent=1), encoding="utf-8")
        new.replace(self._folder / f"{key}.json")


def record_key(*parts: object) -> str:
    """A name for the record of these things."""
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()[:40]


def state_of(path: Path) -> str | None:
    """A hash that changes when files at the path come, go or change; None when nothing is there. Reads no contents."""
    try:
        if path.is_dir():
            return stat_hash(path, list_files(path))
        return stat_hash(path.parent, {path.name: path.stat().st_size})
    except OSError:
        return None


def to_json(prepared: PreparedModel) -> dict[str, Any]:
    """The model as JSON."""
    return dataclasses.asdict(prepared) | {"path": str(prepared.path)}


def from_json(content: Mapping[str, Any]) -> PreparedModel:
    """The model from its JSON.

    Raises:
        TypeError: A field is missing or unknown.
    """
    fields = dict(content) | {
        "path": Path(content["path"]),
        "memory": MemoryEstimate(**content["memory"]),
        "notes": tuple(content["notes"]),
    }
    return PreparedModel(**fields)
