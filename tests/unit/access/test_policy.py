"""What callers may do."""

from __future__ import annotations

import pytest

from saker.access.policy import allow
from saker.core.errors import InvalidInput, PermissionDenied
from saker.core.principal import Principal

ADA = Principal("000000000000", "arn:aws:iam::000000000000:user/ada", "AKIAADA")


@pytest.mark.parametrize(
    "resource",
    [
        "*",
        "arn:aws:sagemaker:us-east-1:000000000000:endpoint/demo",
        "arn:aws:sagemaker:eu-west-1:000000000000:model/m",
        "arn:aws:s3:::bucket",  # bucket names are global: their ARNs name no account
    ],
)
def test_a_caller_may_use_what_belongs_to_its_account(resource: str) -> None:
    allow(ADA, "sagemaker:InvokeEndpoint", resource)


def test_another_accounts_resource_is_denied_in_awss_own_words() -> None:
    resource = "arn:aws:sagemaker:us-east-1:111111111111:endpoint/demo"

    with pytest.raises(PermissionDenied) as caught:
        allow(ADA, "sagemaker:InvokeEndpoint", resource)

    assert str(caught.value) == (
        "User: arn:aws:iam::000000000000:user/ada is not authorized to perform: sagemaker:InvokeEndpoint "
        f"on resource: {resource} because no identity-based policy allows the action"
    )


def test_the_root_may_not_reach_into_another_account_either() -> None:
    root = Principal("000000000000", "arn:aws:iam::000000000000:root", "AKIAROOT")

    with pytest.raises(PermissionDenied):
        allow(root, "sagemaker:DeleteModel", "arn:aws:sagemaker:us-east-1:111111111111:model/m")


@pytest.mark.parametrize("resource", ["", "arn:", "arn:aws:sagemaker", "demo"])
def test_what_is_no_arn_is_not_let_through(resource: str) -> None:
    with pytest.raises(InvalidInput):
        allow(ADA, "sagemaker:ListTags", resource)
