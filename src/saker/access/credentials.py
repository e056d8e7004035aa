"""The root's credentials and the key that encrypts everyone else's, in files that only the owner can read."""

from __future__ import annotations

import json
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from saker.core import ids
from saker.core.errors import InvalidInput, Unavailable
from saker.settings import Settings

_MASTER_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class RootCredentials:
    """What proves the account's root."""

    account_id: str
    access_key_id: str
    secret_access_key: str
    bearer_key: str

    def __repr__(self) -> str:
        return f"RootCredentials(account_id={self.account_id!r}, access_key_id={self.access_key_id!r})"


def load_root(settings: Settings) -> RootCredentials:
    """The root's credentials: made at the first start, read afterwards; a key in the settings replaces what is stored.

    Raises:
        Unavailable: The file cannot be read or written, or others can read it.
        InvalidInput: Only one half of a key pair is set.
    """
    path = settings.home / "credentials"
    stored = read_root(path)
    wanted = _apply(settings, stored)
    if wanted != stored:
        write_private(path, (json.dumps(asdict(wanted), indent=2) + "\n").encode())
    return wanted


def read_root(path: Path) -> RootCredentials | None:
    """The credentials in the file, or None when there is none.

    Raises:
        Unavailable: The file cannot be read, is damaged, or can be read by others.
    """
    content = read_private(path)
    if content is None:
        return None
    try:
        fields = json.loads(content)
        # An empty bearer key would open the platform to everyone.
        if not all(isinstance(value, str) and value for value in fields.values()):
            raise ValueError(path)
        return RootCredentials(**fields)
    except (ValueError, TypeError, AttributeError):
        raise Unavailable(
            f"The credentials file {str(path)!r} is damaged.",
            fix="Restore it from a backup, or delete it: the next start makes a new root key.",
        ) from None


def load_master_key(home: Path) -> bytes:
    """The 32 random bytes that encrypt stored secrets; made at the first start.

    Raises:
        Unavailable: The file cannot be read or written, is damaged, or others can read it.
    """
    path = home / "master.key"
    key = read_private(path)
    if key is None:
        key = secrets.token_bytes(_MASTER_KEY_BYTES)
        write_private(path, key)
    if len(key) != _MASTER_KEY_BYTES:
        raise Unavailable(
            f"The master key {str(path)!r} is damaged.",
            why=f"It has {len(key)} bytes and must have {_MASTER_KEY_BYTES}.",
            fix="Restore it from a backup; without it the stored access keys cannot be read.",
        )
    return key


def read_private(path: Path) -> bytes | None:
    """A file's bytes, or None when it does not exist.

    Raises:
        Unavailable: It cannot be read, or its mode lets others read it.
    """
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Unavailable(f"{str(path)!r} cannot be read.", why=f"{error.strerror}.") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Unavailable(
            f"{str(path)!r} holds secrets, and others than its owner may read it.",
            why=f"Its mode is {stat.S_IMODE(mode):04o}.",
            fix=f"Run: chmod 600 {path}",
        )
    return content


def write_private(path: Path, content: bytes) -> None:
    """Write a file with mode 0600, whole or not at all.

    Raises:
        Unavailable: The folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{ids.short_id()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise Unavailable(
            f"{str(path)!r} cannot be written.",
            why=f"{error.strerror}.",
            fix="Make the data folder writable, or name another with SAKER_HOME.",
        ) from error


def _apply(settings: Settings, stored: RootCredentials | None) -> RootCredentials:
    key_id, secret = settings.root_access_key_id, settings.root_secret_access_key.reveal()
    if bool(key_id) != bool(secret):
        raise InvalidInput(
            "Only one half of the root key pair is set.",
            fix="Set both SAKER_ROOT_ACCESS_KEY_ID and SAKER_ROOT_SECRET_ACCESS_KEY, or neither.",
        )
    if not key_id:
        key_id = stored.access_key_id if stored else ids.access_key_id()
        secret = stored.secret_access_key if stored else ids.secret_access_key()
    return RootCredentials(
        account_id=settings.account_id,
        access_key_id=key_id,
        secret_access_key=secret,
        bearer_key=stored.bearer_key if stored else ids.bearer_key(),
    )
