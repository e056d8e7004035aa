"""Reads CBOR bodies."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from saker.aws import cbor, timestamps
from saker.aws.parse.malformed import MalformedInput
from saker.aws.parse.tree import TreeReader


class CborReader(TreeReader):
    """CBOR has bytes and timestamps of its own."""

    def timestamp(self, value: Any) -> datetime:
        """A moment, from a tagged number."""
        if not isinstance(value, cbor.Timestamp):
            raise TypeError
        return timestamps.from_seconds(value.seconds)

    def blob(self, value: Any) -> bytes:
        """Bytes as they are."""
        if not isinstance(value, bytes):
            raise TypeError
        return value


reader = CborReader()


def decode(body: bytes) -> Any:
    """The decoded body; an empty one is an empty structure.

    Raises:
        MalformedInput: It is not CBOR.
    """
    try:
        return cbor.decode(body) if body else {}
    except cbor.CborError as error:
        raise MalformedInput(f"The body is not valid CBOR: {error}") from None
