"""ARNs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saker.core.arn import Arn
from saker.core.errors import InvalidInput

PART = st.text(alphabet="abc-019", min_size=1, max_size=8)
OPTIONAL_PART = st.text(alphabet="abc-019", max_size=8)
RESOURCE = st.text(alphabet="abc-/:.", min_size=1, max_size=12)


@given(PART, OPTIONAL_PART, OPTIONAL_PART, RESOURCE)
def test_what_is_written_reads_back_the_same(service: str, region: str, account_id: str, resource: str) -> None:
    arn = Arn(service, region, account_id, resource)

    assert arn == Arn.parse(str(arn))


@pytest.mark.parametrize(
    ("resource", "kind", "name"),
    [
        ("endpoint/demo", "endpoint", "demo"),
        ("user/team/ada", "user", "team/ada"),  # a path belongs to the name
        ("bucket", "", "bucket"),  # S3 has no types
        ("root", "", "root"),
    ],
)
def test_a_resource_has_a_kind_and_a_name(resource: str, kind: str, name: str) -> None:
    arn = Arn("any", "", "", resource)

    assert (kind, name) == (arn.kind, arn.name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "demo",
        "arn",
        "arn:aws:sagemaker:us-east-1:000000000000",  # five parts
        "arn:aws::us-east-1:000000000000:endpoint/demo",  # no service
        "arn:aws:sagemaker:us-east-1:000000000000:",  # no resource
        "urn:aws:sagemaker:us-east-1:000000000000:endpoint/demo",
    ],
)
def test_what_has_not_the_six_parts_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(InvalidInput, match="six parts") as caught:
        Arn.parse(text)

    assert caught.value.what.startswith(repr(text))


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        arn = Arn.parse(text)
    except InvalidInput:
        return

    assert arn.resource
    assert arn.service
