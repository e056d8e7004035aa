"""The one place that decides whether a caller may do something.

Every key belongs to the account and may use all of it; policies that narrow this come with the IAM door and change this
function only. Nobody unknown reaches it: a request without a principal is refused before.
"""

from __future__ import annotations

from saker.core.arn import Arn
from saker.core.errors import PermissionDenied
from saker.core.principal import Principal


def allow(principal: Principal, action: str, resource: str) -> None:
    """Return when the principal may perform the action on the resource.

    Args:
        action: As IAM names it: "sagemaker:InvokeEndpoint".
        resource: An ARN, or "*" where the action has no resource.

    Raises:
        PermissionDenied: It may not; the text is AWS's own.
        InvalidInput: The resource is no ARN.
    """
    account_id = "" if resource == "*" else Arn.parse(resource).account_id
    if account_id not in ("", principal.account_id):
        raise PermissionDenied(
            f"User: {principal.arn} is not authorized to perform: {action} on resource: {resource} "
            "because no identity-based policy allows the action"
        )
