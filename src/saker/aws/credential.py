"""Finds where a request says who signed it: the Authorization header or the query of a presigned URL."""

from __future__ import annotations

from dataclasses import dataclass

from saker.core.http import Request

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signature is good for."""

    access_key_id: str
    date: str
    """As YYYYMMDD."""
    region: str
    service: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def authorization_fields(request: Request) -> dict[str, str]:
    """The fields of a SigV4 Authorization header ("Credential", …); empty for any other header or none."""
    algorithm, _, rest = request.header("authorization").strip().partition(" ")
    if algorithm != ALGORITHM:
        return {}
    pairs = (field.strip().partition("=") for field in rest.split(","))
    return {name: value for name, _, value in pairs if value}


def parse_credential(credential: str) -> Scope | None:
    """A credential's parts, or None when it has not exactly five. Only the key id may hold a slash."""
    parts = credential.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request" or not parts[0]:
        return None
    return Scope(access_key_id=parts[0], date=parts[1], region=parts[2], service=parts[3])


def find_scope(request: Request) -> Scope | None:
    """The credential scope that a request claims, not yet verified; None when it claims none."""
    credential = authorization_fields(request).get("Credential", "")
    if not credential and "X-Amz-Credential" in request.query:
        credential = request.parameters.get("X-Amz-Credential", [""])[0]
    return parse_credential(credential)
