"""Requests as doors see them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from saker.core.http import Request, Response


def make_request(query: str = "") -> Request:
    return Request("GET", "/", query, {"host": "127.0.0.1"})


def test_a_query_is_decoded_and_keeps_every_value_in_order() -> None:
    request = make_request("b=2&a=x%20y&b=1&empty=")

    assert request.parameters == {"b": ["2", "1"], "a": ["x y"], "empty": [""]}


@given(st.text())
def test_no_query_is_too_strange_to_read(query: str) -> None:
    assert all(values for values in make_request(query).parameters.values())


def test_a_header_that_is_absent_reads_as_its_default() -> None:
    request = make_request()

    assert request.header("host") == "127.0.0.1"
    assert request.header("accept") == ""
    assert request.header("accept", "*/*") == "*/*"


def test_responses_share_no_headers() -> None:
    Response().headers.append(("x", "1"))

    assert Response().headers == []
