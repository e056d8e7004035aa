"""Derives the key that signs a day's requests of one caller to one service, and remembers the proven ones."""

from __future__ import annotations

import hmac

from saker.aws.canonical import wire_bytes
from saker.aws.credential import Scope

_MAX_KEPT = 1024

Key = tuple[str, str, str, str]


class SigningKeys:
    """Derived keys by secret and scope.

    Only keys that verified a request are kept, so that nobody without a secret can drive out the others.
    """

    def __init__(self) -> None:
        self._kept: dict[Key, bytes] = {}

    def derive(self, secret: str, scope: Scope) -> bytes:
        """The signing key of that secret in that scope."""
        return self._kept.get((secret, scope.date, scope.region, scope.service)) or derive(secret, scope)

    def keep(self, secret: str, scope: Scope, key: bytes) -> None:
        """Remember a key that verified a request; the oldest goes when there are too many."""
        name = (secret, scope.date, scope.region, scope.service)
        if name in self._kept:
            return
        if len(self._kept) >= _MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[name] = key


def derive(secret: str, scope: Scope) -> bytes:
    """The four steps from a secret to its signing key."""
    key = wire_bytes(f"AWS4{secret}")
    for part in (scope.date, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, wire_bytes(part), "sha256")
    return key
