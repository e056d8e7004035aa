"""Finds out who calls: by AWS signature, or by bearer key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saker.aws import AccessKey, Dialect, verify
from saker.core.clock import Clock
from saker.core.errors import Unauthenticated
from saker.core.http import Request
from saker.core.principal import Principal

if TYPE_CHECKING:  # the database behind it takes 300 ms to import, and `saker env` reads only the credentials
    from saker.access.keys import KeyRing


class Authenticator:
    """Checks what callers prove themselves with."""

    def __init__(self, keys: KeyRing, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    def aws(self, request: Request, dialect: Dialect) -> Principal:
        """Who signed the request with Signature Version 4, in a header or a presigned URL.

        Raises:
            Unauthenticated: With the code that AWS gives for it in this dialect.
        """
        scope = verify(request, dialect, self._access_key, self._clock.now())
        principal = self._keys.principal(scope.access_key_id)
        assert principal is not None  # its secret has just been found
        return principal

    def bearer(self, request: Request) -> Principal:
        """Whose key is in the `Authorization: Bearer …` header.

        Raises:
            Unauthenticated: None is there, or nobody's.
        """
        scheme, _, key = request.header("authorization").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise Unauthenticated(
                "You didn't provide an API key.",
                fix="Send it as 'Authorization: Bearer KEY'; `saker env` sets it as OPENAI_API_KEY.",
            )
        principal = self._keys.bearer(key.strip())
        if principal is None:
            raise Unauthenticated(
                "Incorrect API key provided.", fix="`saker env` prints the right one; `saker keys create` makes more."
            )
        return principal

    def _access_key(self, key_id: str) -> AccessKey | None:
        secret = self._keys.secret(key_id)
        return None if secret is None else AccessKey(secret)
