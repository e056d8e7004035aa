"""Reads what a request claims about its signature: from the Authorization header or a presigned URL's query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from saker.aws import auth_errors as refuse
from saker.aws.credential import ALGORITHM, Scope, authorization_fields, parse_credential
from saker.aws.dialect import Dialect
from saker.core.http import Request

_HEADER_FIELDS = ("Credential", "Signature", "SignedHeaders")
_QUERY_FIELDS = ("X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date", "X-Amz-Expires")
_LONGEST_URL_S = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Signature:
    """A claim, not yet verified."""

    scope: Scope
    signed_headers: tuple[str, ...]
    signature: str
    signed_at: datetime
    timestamp: str
    """`signed_at` as it stands in the string to sign."""
    lifetime: timedelta | None
    """How long a presigned URL is good; None for a signed header."""
    session_token: str


def read_signature(request: Request, dialect: Dialect) -> Signature:
    """The request's signature.

    Raises:
        Unauthenticated: There is none, or it lacks a part or has a malformed one.
    """
    if "authorization" in request.headers:
        return _from_header(request, dialect)
    if "X-Amz-Algorithm=" in request.query or "X-Amz-Signature=" in request.query:
        return _from_query(request, dialect)
    raise refuse.missing(dialect)


def _from_header(request: Request, dialect: Dialect) -> Signature:
    fields = authorization_fields(request)
    if not request.header("authorization").lstrip().startswith(ALGORITHM):
        raise refuse.incomplete(dialect, f"Unsupported AWS 'algorithm': only {ALGORITHM} is supported here.")
    absent = [name for name in _HEADER_FIELDS if name not in fields]
    if absent:
        raise refuse.incomplete(
            dialect, " ".join(f"Authorization header requires {name!r} parameter." for name in absent)
        )
    timestamp = request.header("x-amz-date") or _from_http_date(request.header("date"))
    if not timestamp:
        raise refuse.incomplete(
            dialect, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    return Signature(
        scope=_scope(fields["Credential"], timestamp, dialect),
        signed_headers=tuple(fields["SignedHeaders"].split(";")),
        signature=fields["Signature"],
        signed_at=_moment(timestamp, dialect),
        timestamp=timestamp,
        lifetime=None,
        session_token=request.header("x-amz-security-token"),
    )


def _from_query(request: Request, dialect: Dialect) -> Signature:
    given = {name: values for name, values in request.parameters.items() if name.startswith("X-Amz-")}
    absent = [name for name in _QUERY_FIELDS if not given.get(name, [""])[0]]
    if absent:
        raise refuse.incomplete(dialect, f"A presigned URL requires the query parameters {', '.join(absent)}.")
    repeated = [name for name, values in given.items() if len(values) > 1]
    if repeated or given.get("X-Amz-Algorithm") != [ALGORITHM]:
        raise refuse.incomplete(
            dialect, f"X-Amz-Algorithm must be {ALGORITHM}, and no X-Amz parameter may be repeated."
        )
    timestamp, expires = given["X-Amz-Date"][0], given["X-Amz-Expires"][0]
    if not (expires.isascii() and expires.isdigit() and len(expires) < 8 and int(expires) <= _LONGEST_URL_S):
        raise refuse.incomplete(dialect, f"X-Amz-Expires must be between 0 and {_LONGEST_URL_S} seconds.")
    return Signature(
        scope=_scope(given["X-Amz-Credential"][0], timestamp, dialect),
        signed_headers=tuple(given["X-Amz-SignedHeaders"][0].split(";")),
        signature=given["X-Amz-Signature"][0],
        signed_at=_moment(timestamp, dialect),
        timestamp=timestamp,
        lifetime=timedelta(seconds=int(expires)),
        session_token=given.get("X-Amz-Security-Token", [""])[0],
    )


def _scope(credential: str, timestamp: str, dialect: Dialect) -> Scope:
    scope = parse_credential(credential)
    if scope is None:
        raise refuse.incomplete(
            dialect, "Credential must have exactly 5 slash-delimited elements: keyid/date/region/service/aws4_request."
        )
    if scope.date != timestamp[:8]:
        raise refuse.incomplete(
            dialect,
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"{scope.date!r} != {timestamp[:8]!r}.",
        )
    return scope


def _moment(timestamp: str, dialect: Dialect) -> datetime:
    """YYYYMMDDTHHMMSSZ as a time; strptime would take most of the verification's time."""
    digits = timestamp[:8] + timestamp[9:15]
    try:
        if (
            len(timestamp) != 16
            or timestamp[8] != "T"
            or timestamp[15] != "Z"
            or not (digits.isascii() and digits.isdigit())
        ):
            raise ValueError(timestamp)
        parts = [int(digits[:4])] + [int(digits[at : at + 2]) for at in range(4, 14, 2)]
        return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]  # mypy counts the parts as if tzinfo could be one
    except ValueError:
        raise refuse.incomplete(dialect, f"Date must be in ISO-8601 'basic format'. Got {timestamp[:32]!r}.") from None


def _from_http_date(date: str) -> str:
    """An HTTP Date header in the form of X-Amz-Date; "" when it is none."""
    try:
        return parsedate_to_datetime(date).astimezone(UTC).strftime(refuse.TIMESTAMP) if date else ""
    except (ValueError, OverflowError):
        return ""
