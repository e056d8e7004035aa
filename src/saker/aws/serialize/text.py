"""Writes single values as text: for headers and XML."""

from __future__ import annotations

import base64
import json
import math
import re
from datetime import datetime
from typing import Any, Literal

from saker.aws import timestamps

TimestampFormat = Literal["iso8601", "iso8601_ms", "rfc822", "unixTimestamp"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def write_text(shape: Any, value: Any, default: TimestampFormat) -> str:
    """A scalar as text.

    Args:
        shape: The value's shape.
        value: str, bool, int, float, bytes, or a moment.
        default: How timestamps stand in this place where their shape does not say.
    """
    if shape.type_name == "timestamp":
        return str(write_timestamp(value, shape.serialization.get("timestampFormat", default)))
    if shape.type_name == "boolean":
        return "true" if value else "false"
    if shape.type_name == "blob":
        return write_base64(value)
    return write_float(value) if isinstance(value, float) else str(value)


def write_timestamp(value: datetime | float, form: str) -> str | int | float:
    """A moment in the given form; only the unix form is a number. A number is a moment in seconds since 1970."""
    moment = value if isinstance(value, datetime) else timestamps.from_seconds(value)
    if form.lower() == "unixtimestamp":
        return timestamps.to_seconds(moment)
    if form == "rfc822":
        return timestamps.to_http_date(moment)
    return timestamps.to_iso8601(moment, always_milliseconds=form == "iso8601_ms")


def write_float(value: float) -> str:
    """A number as JSON writes it; AWS spells the others "NaN", "Infinity", "-Infinity"."""
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def to_bytes(value: bytes | str) -> bytes:
    """A blob's bytes; text counts as its UTF-8."""
    return value.encode() if isinstance(value, str) else value


def write_base64(value: bytes | str) -> str:
    """A blob as base64."""
    return base64.b64encode(to_bytes(value)).decode()


def write_header(shape: Any, value: Any) -> str:
    """A header's value; line breaks and other control characters become spaces, so that no value can add a header."""
    if shape.type_name == "list":
        text = ", ".join(_list_item(shape.member, item) for item in value)
    elif shape.serialization.get("jsonvalue"):
        text = write_base64(json.dumps(value))
    else:
        text = write_text(shape, value, "rfc822")
    return clean_header(text)


def clean_header(text: str) -> str:
    """The text without control characters."""
    return _CONTROL.sub(" ", text)


def _list_item(shape: Any, value: Any) -> str:
    text = write_text(shape, value, "rfc822")
    if shape.type_name == "timestamp" or not ("," in text or '"' in text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
