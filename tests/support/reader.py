"""A reader of the documentation: tries the examples of one page, in order, beside a platform of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from support.console import Console, matches, read_console
from support.environment import ROOT
from support.markdown import Block

CLIENTS = ROOT / ".cache" / "envs" / "clients" / "bin"
"""Where `make test-clients` puts the AWS CLI, boto3 and the OpenAI client."""
SAKER = Path(sys.executable).parent / "saker"
START_TIMEOUT_S = 60


class Reader:
    """One reader, on one page. The platform starts with the first example."""

    def __init__(self, home: Path, console: Console | None = None) -> None:
        """
        Args:
            home: The reader's home folder. The examples run in `project` below it, which looks like a clone.
            console: Where the examples run; None is a new one, beside a platform.
        """
        self.stuck_at: Block | None = None
        """The example that failed; those after it may need it."""
        self._home = home
        self._console = console

    def run(self, block: Block) -> None:
        """Run one example.

        Raises:
            AssertionError: It failed, or showed something else than the page says.
        """
        self.stuck_at = block
        console = self._console = self._console or self._start()
        match block.language:
            case "console":
                _converse(console, block.text)
            case "python":
                _pass(*console.python(block.text))
            case _:
                _pass(*console.bash(block.text))
        self.stuck_at = None

    def close(self) -> None:
        """Stop every platform that the page started."""
        if self._console is None:
            return
        for lock in self._home.rglob("lock"):
            down = [str(SAKER), "down", "--home", str(lock.parent)]
            subprocess.run(down, env=self._environment(), capture_output=True, check=True, timeout=60)

    def _start(self) -> Console:
        project = self._home / "project"
        project.mkdir()
        (project / "src").symlink_to(ROOT / "src")
        (project / ".venv").symlink_to(sys.prefix)
        console = Console(self._environment(), project)
        _pass(*console.bash("saker up --detach"))
        deadline = time.monotonic() + START_TIMEOUT_S
        while "InService" not in (seen := console.bash("saker status")[1]):
            assert time.monotonic() < deadline, seen
            time.sleep(0.1)
        return console

    def _environment(self) -> dict[str, str]:
        """What a reader has after `make install`, and nothing of this process's own settings."""
        return {
            "HOME": str(self._home),
            "PATH": f"{CLIENTS}:{SAKER.parent}:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "SAKER_HOME": str(self._home / ".saker"),
            "SAKER_PORT": str(_free_port()),
            "AWS_PAGER": "",
        }


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


def _converse(console: Console, text: str) -> None:
    for command in read_console(text):
        code, output = console.bash(command.script)
        seen = f"$ {command.script}\n{output}\nexit code {code}"
        assert command.fails == (code != 0), seen
        assert not command.expected or matches(command.expected, output), f"{seen}\nexpected:\n{command.expected}"


def _pass(code: int, output: str) -> None:
    assert code == 0, f"exit code {code}\n{output}"
