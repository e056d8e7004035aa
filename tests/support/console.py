"""A console that goes on from one example to the next: its variables and its folder stay."""

from __future__ import annotations

import doctest
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 120
"""For one script; the slowest starts a platform."""

_FAILURE = re.compile(r"^(Error:|An error occurred|Traceback)", re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """One line of a console, with what should be seen after it."""

    script: str
    expected: str

    @property
    def fails(self) -> bool:
        """Whether the page shows it failing."""
        return _FAILURE.search(self.expected) is not None


class Console:
    """Runs scripts one after the other."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.environment = dict(environment) | {"PWD": str(folder)}

    def bash(self, script: str) -> tuple[int, str]:
        """The exit code and the output of a script; variables that it sets (-a) are there for the next one."""
        with tempfile.NamedTemporaryFile() as state:
            keep = f"trap 'env -0 >{state.name}' EXIT\n"
            code, output = self._run(["bash", "-eao", "pipefail", "-c", keep + script])
            left = Path(state.name).read_text(encoding="utf-8")
        if left:
            self.environment = dict(entry.split("=", 1) for entry in left.rstrip("\0").split("\0"))
        return code, output

    def python(self, script: str) -> tuple[int, str]:
        """The exit code and the output of a program."""
        return self._run(["python", "-c", script])

    def _run(self, command: list[str]) -> tuple[int, str]:
        process = subprocess.Popen(
            command,
            cwd=self.environment["PWD"],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=TIMEOUT_S)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        return process.returncode, output


def read_console(text: str) -> list[Command]:
    r"""The commands of a console block. A command goes on in the next line after a backslash.

    >>> read_console("$ echo a \\\n    b\na b\n$ true\n")
    [Command(script='echo a \\\n    b', expected='a b\n'), Command(script='true', expected='')]
    """
    commands: list[Command] = []
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("$ "):
            commands.append(Command("\n".join(_continued(line.removeprefix("$ "), lines)), ""))
        elif commands:
            commands[-1] = Command(commands[-1].script, f"{commands[-1].expected}{line}\n")
        else:
            raise ValueError(f"A console begins with a command after '$ ', not with {line!r}")
    return commands


def _continued(line: str, rest: Iterator[str]) -> Iterator[str]:
    yield line
    while line.endswith("\\"):
        line = next(rest)
        yield line


def matches(expected: str, output: str) -> bool:
    """Whether the output is what was expected: `...` stands for anything, and runs of blanks count as one.

    >>> matches("demo  ... seconds", "demo came up in 3 seconds")
    True
    >>> matches("demo", "demo and more")
    False
    """
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(expected, output, flags)
