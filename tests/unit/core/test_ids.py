"""Identifiers."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

import pytest

from saker.core import ids


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (ids.access_key_id, r"AKIA[A-Z2-7]{16}"),
        (ids.secret_access_key, r"[\w-]{40}"),
        (ids.bearer_key, r"sk-saker-[\w-]{43}"),
        (ids.short_id, r"[a-z0-9]{8}"),
    ],
)
def test_an_identifier_has_the_shape_that_clients_expect(make: Callable[[], str], shape: str) -> None:
    made = {make() for _ in range(100)}

    assert all(re.fullmatch(shape, one, re.ASCII) for one in made)
    assert len(made) == 100


def test_a_request_id_is_a_random_uuid() -> None:
    assert uuid.UUID(ids.request_id()).version == 4


def test_lengths_are_as_asked_for() -> None:
    assert len(ids.short_id(3)) == 3
    assert len(ids.random_bytes(12)) == 12
