"""Verifies AWS Signature Version 4, in the Authorization header or in the query of a presigned URL.

Nothing of botocore's signer is used: it builds a client's request object and derives the key anew for every check.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from saker.aws import auth_errors as refuse
from saker.aws.canonical import canonical_headers, canonical_path, canonical_queries, wire_bytes
from saker.aws.credential import ALGORITHM
from saker.aws.dialect import Call, Dialect
from saker.aws.signature import Signature, read_signature
from saker.aws.signing_key import SigningKeys
from saker.core.errors import Unsupported
from saker.core.http import Request

_CONTENT_HASH = "x-amz-content-sha256"
_NEED_NO_SIGNATURE = (
    _CONTENT_HASH,  # signed in any case, in the body's place
    "x-amz-security-token",  # compared with the key's own; some clients add it after signing
)
_UNSIGNED = "UNSIGNED-PAYLOAD"
_UNSIGNED_CHUNKS = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

_signing_keys = SigningKeys()


@dataclass(frozen=True, slots=True)
class AccessKey:
    """What a signature is checked against."""

    secret: str
    session_token: str = ""
    """Temporary credentials carry one in every request; "" for long-term keys."""


@dataclass(frozen=True, slots=True)
class VerifiedScope:
    """Who signed the request, and for what."""

    access_key_id: str
    region: str
    service: str


def verify(
    request: Request, dialect: Dialect, find_key: Callable[[str], AccessKey | None], now: datetime
) -> VerifiedScope:
    """Who signed the request.

    Args:
        request: The request as it was sent.
        dialect: The call, or the guessed dialect where no operation matched; decides the error codes and whether the
            operation may leave its body unsigned.
        find_key: The key of an access key id, or None.
        now: The time in UTC.

    Raises:
        Unauthenticated: With the code that AWS gives in this dialect.
        Unsupported: The body is signed chunk by chunk.
    """
    claim = read_signature(request, dialect)
    key = find_key(claim.scope.access_key_id)
    if key is None or not _equal(key.session_token, claim.session_token):
        raise refuse.unknown_key(dialect)
    _check_scope(claim, dialect)
    _check_time(claim, dialect, now)
    _check_signed_headers(request, claim, dialect)
    _check_signature(request, claim, dialect, key.secret)
    return VerifiedScope(claim.scope.access_key_id, claim.scope.region, claim.scope.service)


def _check_scope(claim: Signature, dialect: Dialect) -> None:
    if dialect.signing_name and claim.scope.service != dialect.signing_name:
        raise refuse.wrong_scope(dialect)


def _check_time(claim: Signature, dialect: Dialect, now: datetime) -> None:
    is_early = claim.signed_at - now > refuse.MAX_SKEW
    if claim.lifetime is None:
        if is_early or now - claim.signed_at > refuse.MAX_SKEW:
            raise refuse.outside_window(dialect, claim.signed_at, now)
    elif is_early:
        raise refuse.outside_window(dialect, claim.signed_at, now)
    elif now - claim.signed_at > claim.lifetime:
        raise refuse.url_expired(dialect, claim.signed_at + claim.lifetime, now)


def _check_signed_headers(request: Request, claim: Signature, dialect: Dialect) -> None:
    """The host and all of AWS's own headers decide about the request, so they must be signed."""
    signed = claim.signed_headers
    if "host" not in signed:
        raise refuse.not_signed(dialect, "host")
    for name in request.headers:
        if name.startswith("x-amz-") and name not in signed and name not in _NEED_NO_SIGNATURE:
            raise refuse.not_signed(dialect, name)


def _check_signature(request: Request, claim: Signature, dialect: Dialect, secret: str) -> None:
    payload_hash = _payload_hash(request, claim, dialect)
    path = canonical_path(request.raw_path, is_s3=claim.scope.service == "s3")
    rest = f"{canonical_headers(request, claim.signed_headers)}\n{';'.join(claim.signed_headers)}\n{payload_hash}"
    signing_key = _signing_keys.derive(secret, claim.scope)
    preface = f"{ALGORITHM}\n{claim.timestamp}\n{claim.scope}\n"
    for query in canonical_queries(request.query):
        canonical = f"{request.method}\n{path}\n{query}\n{rest}"
        to_sign = preface + sha256(wire_bytes(canonical)).hexdigest()
        if _equal(hmac.digest(signing_key, wire_bytes(to_sign), "sha256").hex(), claim.signature):
            _signing_keys.keep(secret, claim.scope, signing_key)
            return
    raise refuse.mismatch(dialect)


def _payload_hash(request: Request, claim: Signature, dialect: Dialect) -> str:
    """What stands for the body in the canonical request, checked against the body."""
    is_s3 = claim.scope.service == "s3"
    given = request.header(_CONTENT_HASH)
    if not given:
        return _UNSIGNED if is_s3 and claim.lifetime is not None else sha256(request.body).hexdigest()
    if given in (_UNSIGNED, _UNSIGNED_CHUNKS) and (is_s3 or _may_leave_body_unsigned(dialect)):
        return given
    if given.startswith("STREAMING-"):
        raise Unsupported(
            "A header you provided implies functionality that is not implemented.",
            why=f"'x-amz-content-sha256' is {given[:64]!r}.",
            code="NotImplemented",
        )
    if not _equal(sha256(request.body).hexdigest(), given):
        raise refuse.wrong_body(dialect)
    return given


def _equal(one: str, other: str) -> bool:
    """Takes the same time wherever they differ."""
    return hmac.compare_digest(wire_bytes(one), wire_bytes(other))


def _may_leave_body_unsigned(dialect: Dialect) -> bool:
    if not isinstance(dialect, Call):
        return False
    return bool(dialect.operation.unsigned_payload) or dialect.operation.auth_type == "v4-unsigned-body"
