"""The words and codes in which AWS refuses an unproven caller; they differ between families of services.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from saker.aws.dialect import Dialect
from saker.core.errors import Unauthenticated

MAX_SKEW = timedelta(minutes=15)
"""How far a client's clock may be off, either way."""

TIMESTAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Family:
    """One family's codes."""

    missing: str
    incomplete: str
    unknown_key: str
    mismatch: str
    expired: str
    wrong_body: str


_JSON = Family(
    missing="MissingAuthenticationTokenException",
    incomplete="IncompleteSignatureException",
    unknown_key="UnrecognizedClientException",
    mismatch="InvalidSignatureException",
    expired="InvalidSignatureException",
    wrong_body="InvalidSignatureException",
)
_QUERY = Family(
    missing="MissingAuthenticationToken",
    incomplete="IncompleteSignature",
    unknown_key="InvalidClientTokenId",
    mismatch="SignatureDoesNotMatch",
    expired="SignatureDoesNotMatch",
    wrong_body="SignatureDoesNotMatch",
)
_S3 = Family(
    missing="AccessDenied",
    incomplete="AuthorizationHeaderMalformed",
    unknown_key="InvalidAccessKeyId",
    mismatch="SignatureDoesNotMatch",
    expired="RequestTimeTooSkewed",
    wrong_body="XAmzContentSHA256Mismatch",
)


def family_of(dialect: Dialect) -> Family:
    """The codes that clients of this dialect know."""
    if dialect.is_s3:
        return _S3
    return _QUERY if dialect.protocol == "query" else _JSON


def missing(dialect: Dialect) -> Unauthenticated:
    """The request is not signed at all."""
    what = "Access Denied." if dialect.is_s3 else "Missing Authentication Token."
    return Unauthenticated(what, why="The request is not signed.", code=family_of(dialect).missing)


def incomplete(dialect: Dialect, what: str) -> Unauthenticated:
    """The request is signed, but not in a form that can be checked."""
    return Unauthenticated(what, code=family_of(dialect).incomplete)


def unknown_key(dialect: Dialect) -> Unauthenticated:
    """No such access key, or another session token than its own; the two read alike."""
    what = "The security token included in the request is invalid."
    if dialect.is_s3:
        what = "The AWS Access Key Id you provided does not exist in our records."
    return Unauthenticated(what, code=family_of(dialect).unknown_key)


def mismatch(dialect: Dialect) -> Unauthenticated:
    """Something in the request, or the secret, is not what was signed."""
    return Unauthenticated(
        "The request signature we calculated does not match the signature you provided.",
        fix="Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
        code=family_of(dialect).mismatch,
    )


def wrong_body(dialect: Dialect) -> Unauthenticated:
    """The body is not the one whose hash was signed."""
    return Unauthenticated(
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
        code=family_of(dialect).wrong_body,
    )


def not_signed(dialect: Dialect, header: str) -> Unauthenticated:
    """A header that decides about the request is left out of its signature."""
    return Unauthenticated(
        f"{header!r} must be a 'SignedHeader' in the AWS Authorization.", code=family_of(dialect).mismatch
    )


def wrong_scope(dialect: Dialect) -> Unauthenticated:
    """The signature was made for another service."""
    return Unauthenticated(
        f"Credential should be scoped to correct service: {dialect.signing_name!r}.", code=family_of(dialect).mismatch
    )


def outside_window(dialect: Dialect, signed_at: datetime, now: datetime) -> Unauthenticated:
    """The request was signed too long ago, or in the future."""
    if dialect.is_s3:
        what = "The difference between the request time and the current time is too large."
    elif signed_at < now:
        earliest = now - MAX_SKEW
        what = (
            f"Signature expired: {signed_at:{TIMESTAMP}} is now earlier than "
            f"{earliest:{TIMESTAMP}} ({now:{TIMESTAMP}} - 15 min.)"
        )
    else:
        latest = now + MAX_SKEW
        what = (
            f"Signature not yet current: {signed_at:{TIMESTAMP}} is still later than "
            f"{latest:{TIMESTAMP}} ({now:{TIMESTAMP}} + 15 min.)"
        )
    return Unauthenticated(what, fix="Set this computer's or the client's clock.", code=family_of(dialect).expired)


def url_expired(dialect: Dialect, ended_at: datetime, now: datetime) -> Unauthenticated:
    """A presigned URL is used after its time."""
    return Unauthenticated(
        "Request has expired.",
        why=f"The URL was good until {ended_at:{TIMESTAMP}}; it is {now:{TIMESTAMP}}.",
        code="AccessDenied" if dialect.is_s3 else family_of(dialect).expired,
    )
