"""What the doors need to know about callers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AccessKey:
    """One key pair with its bearer key, without the secrets."""

    id: str
    name: str
    created_at: datetime
    is_active: bool


@dataclass(frozen=True, slots=True)
class NewAccessKey:
    """A key just made: the only moment at which its secrets are shown."""

    id: str
    name: str
    secret: str
    bearer: str
