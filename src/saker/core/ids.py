"""Identifiers: random, unguessable where it matters, in the shapes that clients expect."""

from __future__ import annotations

import secrets
import uuid

_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_SHORT = "abcdefghijklmnopqrstuvwxyz0123456789"


def request_id() -> str:
    """A fresh request id, in the UUID shape that AWS clients print."""
    return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))


def access_key_id() -> str:
    """A fresh access key id: "AKIA" and 16 characters.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    """
    return "AKIA" + "".join(secrets.choice(_UPPER) for _ in range(16))


def secret_access_key() -> str:
    """A fresh secret of 40 characters: 240 random bits."""
    return secrets.token_urlsafe(30)


def bearer_key() -> str:
    """A fresh bearer key for OpenAI clients: "sk-saker-" and 256 random bits."""
    return "sk-saker-" + secrets.token_urlsafe(32)


def short_id(length: int = 8) -> str:
    """A short random name part, for people to read: lower-case letters and digits."""
    return "".join(secrets.choice(_SHORT) for _ in range(length))


def random_bytes(length: int) -> bytes:
    """Unpredictable bytes, for nonces and keys."""
    return secrets.token_bytes(length)
