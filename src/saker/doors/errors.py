"""How the platform's errors are called on the AWS wire: one table per family of services.

The codes and statuses are those that AWS's service models and pages give; a test asks botocore whether they exist.
"""

from __future__ import annotations

from saker.core import errors

Codes = dict[type[errors.SakerError], tuple[str, int]]

SAGEMAKER: Codes = {
    errors.InvalidInput: ("ValidationException", 400),
    errors.Unauthenticated: ("MissingAuthenticationTokenException", 403),
    errors.PermissionDenied: ("AccessDeniedException", 400),
    errors.NotFound: ("ValidationException", 400),  # "Could not find …": SDKs match on code and text
    errors.Conflict: ("ValidationException", 400),
    errors.Throttled: ("ThrottlingException", 400),
    errors.Unavailable: ("ServiceUnavailable", 503),
    errors.DeadlineExceeded: ("ServiceUnavailable", 503),
    errors.EngineFailure: ("InternalFailure", 500),
    errors.Internal: ("InternalFailure", 500),
}

RUNTIME: Codes = {
    errors.InvalidInput: ("ValidationError", 400),
    errors.Unauthenticated: ("MissingAuthenticationTokenException", 403),
    errors.PermissionDenied: ("AccessDeniedException", 403),
    errors.NotFound: ("ValidationError", 400),
    errors.Conflict: ("ValidationError", 400),
    errors.Throttled: ("ThrottlingException", 429),
    errors.Unavailable: ("ServiceUnavailable", 503),
    errors.DeadlineExceeded: ("ModelError", 424),
    errors.EngineFailure: ("ModelError", 424),
    errors.Internal: ("InternalFailure", 500),
}

LOGS: Codes = SAGEMAKER | {
    errors.InvalidInput: ("InvalidParameterException", 400),
    errors.NotFound: ("ResourceNotFoundException", 400),
    errors.Unavailable: ("ServiceUnavailableException", 500),
}

BY_SERVICE: dict[str, Codes] = {"sagemaker": SAGEMAKER, "sagemaker-runtime": RUNTIME, "logs": LOGS}


def code_of(service: str, error: errors.SakerError) -> tuple[str, int | None]:
    """The wire code and HTTP status of an error; a code that it carries wins, with the status AWS gives that (None)."""
    table = BY_SERVICE.get(service, SAGEMAKER)
    code, status = next(table[cls] for cls in type(error).__mro__ if cls in table)
    return (code, status) if not error.code else (error.code, EXACT_STATUS.get(error.code))


EXACT_STATUS = {"NotImplementedBySaker": 501, "RequestEntityTooLarge": 413}
"""Statuses of exact codes that no service model knows."""
