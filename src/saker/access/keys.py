"""Access keys: made, listed, revoked, looked up.

All active keys are held in memory, where a request finds them without a database read; a revoked key stops working with
the call that revokes it. SigV4 needs the secret itself, so secrets are stored encrypted; bearer keys are only compared,
so they are stored hashed. Both are long random strings, which is why a plain SHA-256 is enough.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from saker.access.base import AccessKey, NewAccessKey
from saker.access.credentials import RootCredentials
from saker.core import ids
from saker.core.clock import Clock
from saker.core.errors import InvalidInput, NotFound, Unavailable
from saker.core.principal import Principal
from saker.storage.tables import access_keys

_NONCE_BYTES = 12
_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Held:
    principal: Principal
    secret: str


class KeyRing:
    """Every key that opens the platform: the root's and those made by `create`."""

    def __init__(self, database: AsyncEngine, root: RootCredentials, master_key: bytes, clock: Clock) -> None:
        self._database = database
        self._cipher = AESGCM(master_key)
        self._clock = clock
        self._account_id = root.account_id
        self._root_id = root.access_key_id
        self._by_id: dict[str, _Held] = {}
        self._by_bearer: dict[bytes, Principal] = {}
        self._hold(root.access_key_id, "root", root.secret_access_key, _digest(root.bearer_key))

    async def load(self) -> None:
        """Read the stored keys into memory. Once, at the start.

        Raises:
            Unavailable: A stored secret cannot be decrypted: master.key and state.db do not belong together.
        """
        async with self._database.connect() as connection:
            rows = (await connection.execute(select(access_keys).where(access_keys.c.is_active))).all()
        for row in rows:
            self._hold(row.id, row.name, self._decrypt(row), row.bearer_hash)

    def secret(self, key_id: str) -> str | None:
        """The secret of an active key, for checking a signature; None for an unknown one."""
        held = self._by_id.get(key_id)
        return held.secret if held else None

    def principal(self, key_id: str) -> Principal | None:
        """Whom an active access key id stands for."""
        held = self._by_id.get(key_id)
        return held.principal if held else None

    def bearer(self, key: str) -> Principal | None:
        """Whom a bearer key stands for. Looked up by its hash, so timing tells nothing about the key."""
        return self._by_bearer.get(_digest(key))

    async def create(self, name: str) -> NewAccessKey:
        """Make a key. Its secrets are returned here and never again.

        Raises:
            InvalidInput: The name is not one that IAM would take for a user, or is "root".
        """
        if not _NAME.fullmatch(name) or name == "root":
            raise InvalidInput(
                f"{name!r} cannot name a key.", fix="Use 1 to 64 of letters, digits and +=,.@_-, and not 'root'."
            )
        made = NewAccessKey(ids.access_key_id(), name, ids.secret_access_key(), ids.bearer_key())
        values = {
            "id": made.id,
            "name": name,
            "secret": self._encrypt(made.id, made.secret),
            "bearer_hash": _digest(made.bearer),
            "created_at": self._clock.now().timestamp(),
            "is_active": True,
        }
        async with self._database.begin() as connection:
            await connection.execute(insert(access_keys).values(values))
        self._hold(made.id, name, made.secret, _digest(made.bearer))
        return made

    async def list(self) -> list[AccessKey]:
        """Every key that was ever made, oldest first, the revoked ones too."""
        async with self._database.connect() as connection:
            rows = (await connection.execute(select(access_keys).order_by(access_keys.c.created_at))).all()
        return [AccessKey(r.id, r.name, datetime.fromtimestamp(r.created_at, UTC), r.is_active) for r in rows]

    async def revoke(self, key_id: str) -> None:
        """Make a key worthless from now on. Safe to call twice.

        Raises:
            NotFound: No such key.
            InvalidInput: It is the root's key.
        """
        if key_id == self._root_id:
            raise InvalidInput(
                "The root's key cannot be revoked.",
                fix="Stop the platform, delete `credentials` in the data folder, and start again for a new one.",
            )
        statement = update(access_keys).where(access_keys.c.id == key_id).values(is_active=False)
        async with self._database.begin() as connection:
            if (await connection.execute(statement)).rowcount == 0:
                raise NotFound(f"There is no access key {key_id!r}.", fix="List them with: saker keys list")
        held = self._by_id.pop(key_id, None)
        if held is not None:
            self._by_bearer = {digest: p for digest, p in self._by_bearer.items() if p.key_id != key_id}

    def _hold(self, key_id: str, name: str, secret: str, bearer_hash: bytes) -> None:
        who = "root" if name == "root" else f"user/{name}"
        principal = Principal(self._account_id, f"arn:aws:iam::{self._account_id}:{who}", key_id)
        self._by_id[key_id] = _Held(principal, secret)
        self._by_bearer[bearer_hash] = principal

    def _encrypt(self, key_id: str, secret: str) -> bytes:
        nonce = ids.random_bytes(_NONCE_BYTES)
        # The id is authenticated too, so that a secret cannot be moved to another row.
        return nonce + self._cipher.encrypt(nonce, secret.encode(), key_id.encode())

    def _decrypt(self, row: Row[tuple[object, ...]]) -> str:
        sealed: bytes = row.secret
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], row.id.encode()).decode()
        except (InvalidTag, ValueError):
            raise Unavailable(
                f"The stored secret of key {row.id!r} cannot be decrypted.",
                why="master.key and state.db in the data folder do not belong together.",
                fix="Restore both from the same backup.",
            ) from None


def _digest(bearer: str) -> bytes:
    return hashlib.sha256(bearer.encode()).digest()
