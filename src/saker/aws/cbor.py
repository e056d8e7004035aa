"""The part of CBOR that AWS's protocol uses: numbers, text, bytes, arrays, maps and timestamps.

General decoders also understand tags that build big numbers, regular expressions or cyclic values from a few bytes;
nothing of that may come from a request.

Source: RFC 8949; https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
"""

from __future__ import annotations

import struct
from datetime import datetime
from typing import Any, NamedTuple

from saker.aws import timestamps

MAX_DEPTH = 128

_TAG_TIMESTAMP = 1
_INDEFINITE = 31
_BREAK = 0xFF
_FLOATS = {25: (2, ">e"), 26: (4, ">f"), 27: (8, ">d")}
_SIMPLE = {20: False, 21: True, 22: None, 23: None}


class Timestamp(NamedTuple):
    """A tagged moment."""

    seconds: float


class CborError(ValueError):
    """The bytes are not CBOR, or a part of it that is not read here."""


def decode(data: bytes) -> Any:
    """The single value that `data` holds.

    Raises:
        CborError: It holds none, or more than that.
    """
    decoder = _Decoder(data)
    value = decoder.item(0)
    if decoder.position != len(data):
        raise CborError("There are bytes after the value.")
    return value


def encode(value: Any) -> bytes:
    """A value of None, bool, int, float, str, bytes, datetime, list and dict."""
    parts: list[bytes] = []
    _encode(value, parts)
    return b"".join(parts)


class _Decoder:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def item(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise CborError(f"Nested deeper than {MAX_DEPTH} levels.")
        initial = self._take(1)[0]
        major, info = initial >> 5, initial & 31
        if major == 7:
            return self._simple(info)
        argument = None if info == _INDEFINITE else self._argument(info)
        if major in (2, 3):
            return self._string(major, argument)
        if major == 4:
            return self._array(argument, depth + 1)
        if major == 5:
            return self._map(argument, depth + 1)
        if argument is None:
            raise CborError("Only strings, arrays and maps may be of indefinite length.")
        if major == 6:
            return self._tagged(argument, depth + 1)
        return argument if major == 0 else -1 - argument

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self._data):
            raise CborError("The value ends too early.")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def _argument(self, info: int) -> int:
        if info < 24:
            return info
        if info > 27:
            raise CborError("A reserved length.")
        return int.from_bytes(self._take(1 << (info - 24)), "big")

    def _simple(self, info: int) -> Any:
        if info in _SIMPLE:
            return _SIMPLE[info]
        if info not in _FLOATS:
            raise CborError("A simple value without a meaning.")
        size, form = _FLOATS[info]
        return struct.unpack(form, self._take(size))[0]

    def _string(self, major: int, length: int | None) -> str | bytes:
        raw = self._take(length) if length is not None else b"".join(self._chunks(major))
        try:
            return raw if major == 2 else raw.decode()
        except UnicodeDecodeError:
            raise CborError("Text that is not UTF-8.") from None

    def _chunks(self, major: int) -> list[bytes]:
        chunks = []
        while not self._at_break():
            initial = self._take(1)[0]
            if initial >> 5 != major or initial & 31 == _INDEFINITE:
                raise CborError("A string made of other things than strings.")
            chunks.append(self._take(self._argument(initial & 31)))
        return chunks

    def _array(self, length: int | None, depth: int) -> list[Any]:
        items: list[Any] = []
        while not self._at_break() if length is None else len(items) < length:
            items.append(self.item(depth))
        return items

    def _map(self, length: int | None, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        read = 0
        while not self._at_break() if length is None else read < length:
            key = self.item(depth)
            if not isinstance(key, str):
                raise CborError("A map's key that is not text.")
            found[key] = self.item(depth)
            read += 1
        return found

    def _tagged(self, tag: int, depth: int) -> Any:
        value = self.item(depth)
        if tag != _TAG_TIMESTAMP:
            raise CborError(f"The tag {tag} is not read here.")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CborError("A timestamp that is not a number.")
        return Timestamp(value)

    def _at_break(self) -> bool:
        if self._data[self.position : self.position + 1] != bytes([_BREAK]):
            return False
        self.position += 1
        return True


def _encode(value: Any, parts: list[bytes]) -> None:
    if value is None:
        parts.append(b"\xf6")
    elif isinstance(value, bool):
        parts.append(b"\xf5" if value else b"\xf4")
    elif isinstance(value, int):
        parts.append(_head(0, value) if value >= 0 else _head(1, -1 - value))
    elif isinstance(value, float):
        parts.append(b"\xfb" + struct.pack(">d", value))
    elif isinstance(value, datetime):
        parts.append(_head(6, _TAG_TIMESTAMP))
        _encode(timestamps.to_seconds(value), parts)
    else:
        _encode_sized(value, parts)


def _encode_sized(value: Any, parts: list[bytes]) -> None:
    if isinstance(value, bytes | bytearray):
        parts += (_head(2, len(value)), bytes(value))
    elif isinstance(value, str):
        text = value.encode()
        parts += (_head(3, len(text)), text)
    elif isinstance(value, dict):
        parts.append(_head(5, len(value)))
        for key, inner in value.items():
            _encode(key, parts)
            _encode(inner, parts)
    else:
        parts.append(_head(4, len(value)))
        for inner in value:
            _encode(inner, parts)


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << (8 * size):
            return bytes([major << 5 | info]) + argument.to_bytes(size, "big")
    raise CborError(f"The integer {argument} has more than 64 bits.")
