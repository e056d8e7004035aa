"""Callers."""

from __future__ import annotations

import pytest

from saker.core.principal import Principal


@pytest.mark.parametrize(
    ("arn", "is_root"),
    [
        ("arn:aws:iam::000000000000:root", True),
        ("arn:aws:iam::000000000000:user/ada", False),
        ("arn:aws:iam::000000000000:user/root", False),  # a user of that name is no root
    ],
)
def test_only_the_account_itself_is_root(arn: str, is_root: bool) -> None:
    assert is_root == Principal("000000000000", arn, "AKIA").is_root
