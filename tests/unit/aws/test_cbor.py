from __future__ import annotations

import contextlib
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saker.aws import cbor

trees: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(trees)
def test_what_is_encoded_is_decoded(tree: Any) -> None:
    assert tree == cbor.decode(cbor.encode(tree))


@pytest.mark.parametrize(
    ("encoded", "expected"),
    # examples of RFC 8949, appendix A
    [
        ("00", 0),
        ("1903e8", 1000),
        ("1bffffffffffffffff", 2**64 - 1),
        ("3903e7", -1000),
        ("f93e00", 1.5),
        ("fa47c35000", 100000.0),
        ("fb3ff199999999999a", 1.1),
        ("f97c00", math.inf),
        ("f5", True),
        ("f7", None),
        ("4401020304", b"\x01\x02\x03\x04"),
        ("62c3bc", "ü"),
        ("83010203", [1, 2, 3]),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}),
        ("5f42010243030405ff", b"\x01\x02\x03\x04\x05"),
        ("7f657374726561646d696e67ff", "streaming"),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
        ("c11a514b67b0", cbor.Timestamp(1363896240)),
    ],
)
def test_the_standards_examples_are_read(encoded: str, expected: Any) -> None:
    assert expected == cbor.decode(bytes.fromhex(encoded))


def test_moments_are_tagged_seconds() -> None:
    assert "c11a514b67b0" == cbor.encode(datetime(2013, 3, 21, 20, 4, tzinfo=UTC)).hex()


@pytest.mark.parametrize(
    "encoded",
    [
        "",  # nothing
        "0000",  # more than one value
        "18",  # cut off
        "1c",  # reserved length
        "9b7fffffffffffffff",  # an array longer than its bytes
        "5b7fffffffffffffff",  # bytes longer than the message
        "c249010000000000000000",  # a big number
        "c482c21a3b9aca0001",  # a decimal fraction
        "d81c81d81d00",  # a list within itself
        "a10102",  # a number as a key
        "7f6161420102ff",  # text made of bytes
        "5f5f4101ffff",  # indefinite within indefinite
        "61ff",  # not UTF-8
        "f8ff",  # an unknown simple value
        "ff",  # a break without a beginning
        "1f",  # an integer of indefinite length
        "c16161",  # a timestamp made of text
        "81" * 200 + "00",  # too deep
    ],
)
def test_what_the_protocol_does_not_use_is_refused(encoded: str) -> None:
    with pytest.raises(cbor.CborError):
        cbor.decode(bytes.fromhex(encoded))


def test_a_number_of_more_than_64_bits_is_not_written() -> None:
    with pytest.raises(cbor.CborError):
        cbor.encode(2**64)


@given(st.binary(max_size=60))
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    with contextlib.suppress(cbor.CborError):
        cbor.decode(data)
