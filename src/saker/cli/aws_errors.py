"""Turns botocore's errors into the platform's own, so that all errors of the command line read alike."""

from __future__ import annotations

from collections.abc import Callable

from saker.core import errors
from saker.core.errors import SakerError

STRANGERS = frozenset(
    {
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
    }
)
"""Codes that mean: whoever answers does not know our keys."""

CODES: dict[str, type[SakerError]] = {
    "ValidationException": errors.InvalidInput,
    "ValidationError": errors.InvalidInput,
    "ResourceNotFoundException": errors.NotFound,
    "ResourceNotFound": errors.NotFound,
    "ThrottlingException": errors.Throttled,
    "ServiceUnavailable": errors.Unavailable,
    "ServiceUnavailableException": errors.Unavailable,
    "ModelError": errors.EngineFailure,
    "ModelStreamError": errors.EngineFailure,
    "InternalFailure": errors.Internal,
    "NotImplementedBySaker": errors.Unsupported,
}
"""Others are InvalidInput below status 500, and Internal from there."""


def translate(
    error: Exception, stranger: Callable[[], SakerError], unreachable: Callable[[BaseException], SakerError]
) -> Exception:
    """The platform's error that this one stands for; itself when it stands for none.

    Args:
        stranger: Makes the error for keys that are not known.
        unreachable: Makes the error for a platform that does not answer.
    """
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    if isinstance(error, exceptions.ClientError):
        return _answered(error.response, stranger)
    if isinstance(error, exceptions.ParamValidationError):
        return errors.InvalidInput(str(error).replace("\n", " "))
    if isinstance(error, exceptions.ReadTimeoutError):
        return unreachable(TimeoutError())
    if isinstance(error, (exceptions.ConnectionError, exceptions.HTTPClientError, exceptions.ResponseStreamingError)):
        return unreachable(ConnectionError(0, "The connection was refused or broke"))
    if isinstance(error, ResponseParserError):
        return unreachable(ConnectionError(0, "What answers there does not speak AWS's API"))
    return error


def _answered(response: dict[str, dict[str, str]], stranger: Callable[[], SakerError]) -> SakerError:
    code, message = response["Error"].get("Code", ""), response["Error"].get("Message", "")
    if code in STRANGERS:
        return stranger()
    if is_missing(message):
        return errors.NotFound(message)
    return CODES.get(code, errors.InvalidInput)(message or f"The platform answered {code}.")


def is_missing(message: str) -> bool:
    """Whether SageMaker says that something does not exist; it has no code for that."""
    return message.startswith("Could not find") or " not found" in message
