from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saker.aws import timestamps

MOMENT = datetime(2015, 1, 25, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2015-01-25T08:00:00Z",
        "2015-01-25T08:00:00z",
        "2015-01-25T10:00:00+02:00",
        "2015-01-25T08:00:00",
        "2015-01-25T08:00:00.000Z",
        "Sun, 25 Jan 2015 08:00:00 GMT",
        "1422172800",
        " 1422172800.0 ",
    ],
)
def test_all_forms_of_a_moment_are_read(text: str) -> None:
    assert MOMENT == timestamps.from_text(text)


def test_a_moment_is_written_in_three_forms() -> None:
    assert 1422172800 == timestamps.to_seconds(MOMENT)
    assert 1422172800.25 == timestamps.to_seconds(MOMENT + timedelta(microseconds=250_999))
    assert "2015-01-25T08:00:00Z" == timestamps.to_iso8601(MOMENT)
    assert "2015-01-25T08:00:00.250Z" == timestamps.to_iso8601(MOMENT + timedelta(milliseconds=250))
    assert "2015-01-25T08:00:00.000Z" == timestamps.to_iso8601(MOMENT, always_milliseconds=True)
    assert "Sun, 25 Jan 2015 08:00:00 GMT" == timestamps.to_http_date(MOMENT)
    assert "2015-01-25T08:00:00Z" == timestamps.to_iso8601(MOMENT.astimezone(timezone(timedelta(hours=2))))


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read(moment: datetime) -> None:
    to_the_millisecond = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert to_the_millisecond == timestamps.from_text(timestamps.to_iso8601(moment))
    assert abs(moment.timestamp() - timestamps.from_seconds(timestamps.to_seconds(moment)).timestamp()) < 0.002


@given(st.text(max_size=40) | st.floats().map(str) | st.text("0123456789-:TZ+., GMTJan", max_size=30))
def test_anything_else_is_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        timestamps.from_text(text)


@given(st.floats())
def test_seconds_beyond_the_calendar_are_a_value_error(seconds: float) -> None:
    with contextlib.suppress(ValueError):
        timestamps.from_seconds(seconds)
