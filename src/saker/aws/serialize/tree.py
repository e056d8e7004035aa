"""Turns results into what JSON and CBOR encode: members renamed, absent ones left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from saker.aws import cbor, timestamps
from saker.aws.serialize.text import to_bytes, write_base64, write_float, write_timestamp
from saker.core.errors import Internal


class TreeWriter:
    """Writes trees for JSON; a format with more types overrides what it can do better."""

    def __init__(self) -> None:
        self._writers: dict[str, Callable[[Any, Any], Any]] = {
            "structure": self._structure,
            "list": lambda shape, value: [self.write(shape.member, inner) for inner in value],
            "map": lambda shape, value: {key: self.write(shape.value, inner) for key, inner in value.items()},
            "timestamp": self.timestamp,
            "blob": self.blob,
            "float": self.number,
            "double": self.number,
        }

    def write(self, shape: Any, value: Any) -> Any:
        """The value as the format's encoder takes it."""
        writer = self._writers.get(shape.type_name)
        return value if writer is None or value is None else writer(shape, value)

    def members(self, members: Iterable[tuple[str, Any]], value: dict[str, Any]) -> dict[str, Any]:
        """Those members of a structure that are there."""
        found = {}
        for name, member in members:
            inner = value.get(name)
            if inner is not None:
                found[member.serialization.get("name", name)] = self.write(member, inner)
        return found

    def _structure(self, shape: Any, value: Any) -> Any:
        if shape.is_document_type:
            return value
        check_members(shape, value)
        return self.members(shape.members.items(), value)

    def timestamp(self, shape: Any, value: Any) -> Any:
        """A moment in the form of its shape, or else as seconds."""
        return write_timestamp(value, shape.serialization.get("timestampFormat", "unixTimestamp"))

    def blob(self, _shape: Any, value: Any) -> Any:
        """Bytes as base64."""
        return write_base64(value)

    def number(self, _shape: Any, value: Any) -> Any:
        """A float; what JSON has no number for is spelled out."""
        return value if math.isfinite(value) else write_float(value)


class CborWriter(TreeWriter):
    """Writes trees for CBOR, which has timestamps, bytes and every float."""

    def timestamp(self, _shape: Any, value: Any) -> Any:
        """A moment as it is."""
        return timestamps.from_seconds(value) if isinstance(value, int | float) else value

    def blob(self, _shape: Any, value: Any) -> Any:
        """Bytes as they are; text counts as its UTF-8."""
        return to_bytes(value)

    def number(self, _shape: Any, value: Any) -> Any:
        """A float as it is."""
        return float(value)


def check_members(shape: Any, value: dict[str, Any]) -> None:
    """Returns when a result has no member that its shape lacks, which would silently stay off the wire.

    Raises:
        Internal: It has.
    """
    unknown = value.keys() - shape.members.keys()
    if unknown:
        raise Internal(f"A result of shape {shape.name!r} has the unknown members {sorted(unknown)}.")


json_writer = TreeWriter()
cbor_writer = CborWriter()


def encode_json(tree: Any) -> bytes:
    """The tree as JSON."""
    return msgspec.json.encode(tree)


def encode_cbor(tree: Any) -> bytes:
    """The tree as CBOR."""
    return cbor.encode(tree)
