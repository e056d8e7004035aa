"""Frames messages of AWS's event streams (application/vnd.amazon.eventstream).

Source: https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from datetime import datetime

from saker.aws import timestamps

_PRELUDE = struct.Struct("!II")
_CRC = struct.Struct("!I")
_OVERHEAD = 16
"""Two lengths and two checksums."""

HeaderValue = str | bytes | bool | int | datetime


def encode_headers(headers: Mapping[str, HeaderValue]) -> bytes:
    """The headers as they stand in a message."""
    return b"".join(_header(name.encode(), value) for name, value in headers.items())


def frame(headers: bytes, payload: bytes) -> bytes:
    """One message of encoded headers and its payload."""
    prelude = _PRELUDE.pack(len(headers) + len(payload) + _OVERHEAD, len(headers))
    message = b"".join((prelude, _CRC.pack(zlib.crc32(prelude)), headers, payload))
    return message + _CRC.pack(zlib.crc32(message))


def _header(name: bytes, value: HeaderValue) -> bytes:
    return bytes([len(name)]) + name + _typed(value)


def _typed(value: HeaderValue) -> bytes:
    """A type's number and the value in its form."""
    if isinstance(value, bool):
        return b"\x00" if value else b"\x01"
    if isinstance(value, int):
        return (
            b"\x04" + struct.pack("!i", value) if -(1 << 31) <= value < 1 << 31 else b"\x05" + struct.pack("!q", value)
        )
    if isinstance(value, datetime):
        return b"\x08" + struct.pack("!q", round(timestamps.to_seconds(value) * 1000))
    text = value.encode() if isinstance(value, str) else value
    return (b"\x07" if isinstance(value, str) else b"\x06") + struct.pack("!H", len(text)) + text
