"""Runs command lines as people type them."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path


class Shell:
    """A shell in a folder of its own."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._environment = environment
        self.folder = folder

    def run(self, command: str, *, stdin: str = "", status: int = 0) -> str:
        """Run a command line; its standard output. Fails when it exits with another status."""
        done = subprocess.run(
            command,
            shell=True,
            cwd=self.folder,
            env=self._environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == status, f"{shlex.quote(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout if status == 0 else done.stderr
