"""Reads single values that travel as text: in paths, queries, headers, forms and XML."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any

from saker.aws import timestamps
from saker.aws.parse.malformed import MalformedInput

INTEGER_BITS = {"byte": 8, "short": 16, "integer": 32, "long": 64}
_BOOLEANS = {"true": True, "false": False}


def read_text(shape: Any, text: str) -> Any:
    """The value that `text` holds for a scalar shape.

    Raises:
        MalformedInput: It holds none.
    """
    kind = shape.type_name
    try:
        if kind in INTEGER_BITS:
            return check_integer(kind, int(text) if len(text) <= 20 and "_" not in text else None)
        if kind in ("float", "double"):
            return read_float(text)
        if kind == "boolean":
            return _BOOLEANS[text.strip().lower()]
        if kind == "timestamp":
            return timestamps.from_text(text)
        if kind == "blob":
            return read_base64(text)
    except (ValueError, KeyError):
        raise MalformedInput(f"STRING_VALUE cannot be converted to {kind.capitalize()}") from None
    if kind in ("structure", "list", "map"):
        raise MalformedInput(f"Expected {kind} or null")
    return text


def read_float(text: str) -> float:
    """A number, or "NaN", "Infinity", "-Infinity".

    Raises:
        ValueError: It is neither, or beyond a double's range.
    """
    value = float(text.replace("_", "?"))  # Python would let underscores pass
    if not math.isfinite(value) and text.lstrip("+-") not in ("NaN", "Infinity"):
        raise ValueError(text)
    return value


def check_integer(kind: str, value: int | None) -> int:
    """The value, where it fits the type's bits.

    Raises:
        ValueError: It does not.
    """
    bound = 1 << (INTEGER_BITS[kind] - 1)
    if value is None or not -bound <= value < bound:
        raise ValueError(f"out of range for {kind}")
    return value


def read_base64(text: str) -> bytes:
    """The bytes of a blob; line breaks within are allowed.

    Raises:
        MalformedInput: It is not base64.
    """
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise MalformedInput("A blob is not valid base64") from None
