"""One check's finding, and what a check may look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from saker.cli.client import Client
from saker.settings import Settings
from saker.storage.lock import LockHolder


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found."""

    name: str
    state: Literal["ok", "warn", "fail"]
    """ "warn" when something works less well than it could; "fail" when something does not work."""
    text: str
    fix: str = ""
    """What to do; empty when there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Context:
    """What checks look at."""

    settings: Settings
    client: Client
    holder: LockHolder | None
    """The running platform of the data folder."""
    environ: Mapping[str, str]
    is_offline: bool
    """Whether to leave out what needs a network."""


Check = Callable[[Context], Iterator[Finding]]
