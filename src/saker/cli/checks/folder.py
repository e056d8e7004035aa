"""Can the data folder be used, and by its owner only?"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from saker.cli.checks.base import Context, Finding
from saker.cli.client import read_credentials
from saker.core.errors import SakerError


def data_folder(context: Context) -> Iterator[Finding]:
    """Whether it can be written, and who else can read it."""
    home = context.settings.home
    if not home.exists():
        yield from _new(context)
    elif not home.is_dir():
        yield Finding("Data folder", "fail", f"{home} is no folder.", "Name another with SAKER_HOME.")
    elif not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        fix = f"Run: chmod u+rwx {home}. Or name another with SAKER_HOME."
        yield Finding("Data folder", "fail", f"{home} cannot be written by this user.", fix)
    elif home.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        text = f"{home} can be changed by others (mode {stat.S_IMODE(home.stat().st_mode):04o})."
        yield Finding("Data folder", "warn", text, f"Run: chmod 700 {home}")
    else:
        yield Finding("Data folder", "ok", str(home))


def credentials_file(context: Context) -> Iterator[Finding]:
    """Whether the root's keys are there, whole, and readable by their owner only."""
    path = context.settings.home / "credentials"
    if not path.exists() and context.holder is None:
        yield Finding("Credentials", "ok", "none yet; the first start makes them")
        return
    try:
        root = read_credentials(context.settings)
    except SakerError as error:
        yield Finding("Credentials", "fail", f"{error.what} {error.why}".strip(), error.fix)
    else:
        yield Finding("Credentials", "ok", f"{root.access_key_id}, readable by the owner only")


def _new(context: Context) -> Iterator[Finding]:
    home = context.settings.home
    parent = next(path for path in home.parents if path.exists())
    if os.access(parent, os.W_OK | os.X_OK):
        yield Finding("Data folder", "ok", f"{home}, made at the first start")
    else:
        text = f"{home} cannot be made: {parent} cannot be written by this user."
        yield Finding("Data folder", "fail", text, "Name another with SAKER_HOME.")
