"""Runs the `saker` command: in this process, for its speed, or in one of its own, for what only that can show."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from saker.cli.run import run

TIMEOUT_S = 60


@dataclass(frozen=True)
class Outcome:
    """What a command line did."""

    code: int
    out: str
    err: str


Saker = Callable[..., Outcome]
"""Runs `saker` with these arguments; `stdin` is what it reads."""


def run_here(*arguments: object, stdin: str | bytes = b"") -> Outcome:
    """Run a command line in this process, with pipes for its streams."""
    given = stdin.encode() if isinstance(stdin, str) else stdin
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), encoding="utf-8")),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = run([str(argument) for argument in arguments])
    return Outcome(code, out.getvalue(), err.getvalue())


def run_process(*arguments: object, stdin: str = "", environ: dict[str, str] | None = None) -> Outcome:
    """Run a command line in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-m", "saker", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=clean_environment() | (environ or {}),
        check=False,
    )
    return Outcome(result.returncode, result.stdout, result.stderr)


def clean_environment() -> dict[str, str]:
    """This process's environment without what steers Saker or AWS clients."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("SAKER_", "AWS_", "OPENAI_"))}


def write_credentials(home: Path) -> Path:
    """Root credentials in a data folder, as a first start leaves them; returns the folder."""
    from saker.access.credentials import load_root
    from saker.settings import load

    home.mkdir(parents=True, exist_ok=True)
    load_root(load({"home": home}, {}))
    return home
