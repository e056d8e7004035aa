"""Timestamps in the three forms of the wire: seconds since 1970, ISO 8601 and HTTP dates."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_seconds(seconds: float) -> datetime:
    """A moment in UTC.

    Raises:
        ValueError: It lies outside the years 1 to 9999.
    """
    if not math.isfinite(seconds):
        raise ValueError("A timestamp is a finite number.")
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError("A timestamp lies between the years 1 and 9999.") from None


def from_text(text: str) -> datetime:
    """A moment in UTC from any of the three forms; a time without a zone is in UTC.

    Raises:
        ValueError: The text has none of them.
    """
    text = text.strip()
    if text[:1].isdigit() and "-" in text[1:]:
        return _in_utc(datetime.fromisoformat(text.replace("z", "Z")))
    if text[:1].isalpha() and "," in text:
        return _in_utc(parsedate_to_datetime(text))
    return from_seconds(float(text))


def to_seconds(moment: datetime) -> int | float:
    """Seconds since 1970, to the millisecond; an int where nothing follows the point."""
    since = _in_utc(moment) - _EPOCH
    seconds = since.days * 86400 + since.seconds
    milliseconds = since.microseconds // 1000
    return seconds + milliseconds / 1000 if milliseconds else seconds


def to_iso8601(moment: datetime, *, always_milliseconds: bool = False) -> str:
    """ISO 8601 in UTC, to the millisecond where there are any; S3 writes them always."""
    moment = _in_utc(moment)
    exact = always_milliseconds or moment.microsecond
    return moment.isoformat(timespec="milliseconds" if exact else "seconds").removesuffix("+00:00") + "Z"


def to_http_date(moment: datetime) -> str:
    """As in HTTP's Date header, to the second."""
    return format_datetime(_in_utc(moment), usegmt=True)


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("A timestamp lies between the years 1 and 9999.") from None
