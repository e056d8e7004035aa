from __future__ import annotations

import pytest

from saker.aws.ambiguity import may_explode


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+",
        r"(a*)*b",
        r"(a|a)*b",
        r"(ax?|[a-z])*",
        r"(a|b|)*",
        r"[a-z0-9]([-a-z0-9]*[a-z0-9]){0,39}",
        r"([.\-_a-zA-Z0-9]+/?){3,1016}",
        r"([^,]*,?)*",
        r"(\w+\s?)*",
        r"(?:é+[^a]?)*",
        r"(x+x+y?)+",
        r"((?:a?){2})*",
        r"(a)\1*",
    ],
)
def test_a_group_that_reads_a_text_in_several_ways_may_explode(pattern: str) -> None:
    assert may_explode(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"",
        r"[a-z]*",
        r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
        r"[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?",
        r"(https|s3)://([^/]+)/?(.*)",
        r"^([0-9a-z]+[._-])*x$",
        r"(a|b)*",
        r"(a|ab)*",
        r"(é€?)*",
        r"(\d+\s)*",
        r"arn:aws[a-z\-]*:[a-z\-]*:[0-9]{12}:.*",
        r"(?:[a-z]+(?=/)/)*",
    ],
)
def test_a_group_that_reads_each_text_in_one_way_does_not(pattern: str) -> None:
    assert not may_explode(pattern)
