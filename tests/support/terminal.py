"""A program in a terminal of its own: what it shows, and what a person types."""

from __future__ import annotations

import os
import pty
import select
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

TIMEOUT_S = 30.0
CTRL_C, CTRL_D = "\x03", "\x04"


class Terminal:
    """Runs a command with a terminal for its standard streams."""

    def __init__(self, command: Sequence[str], environ: dict[str, str]) -> None:
        self._command = list(command)
        self._environ = environ | {"TERM": "xterm-256color"}
        self.shown = ""
        """Everything that was shown so far."""

    def __enter__(self) -> Terminal:
        self._pid, self._descriptor = pty.fork()
        if self._pid == 0:
            try:
                os.execvpe(self._command[0], self._command, self._environ)
            finally:
                os._exit(127)  # the child must never run the tests
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(OSError):
            os.close(self._descriptor)  # hangs up: what still runs ends
        if self._pid:
            os.waitpid(self._pid, 0)

    def type(self, text: str) -> None:
        """Type something; a line ends with a newline."""
        os.write(self._descriptor, text.encode())

    def wait_for(self, text: str, *, times: int = 1) -> None:
        """Wait until something has been shown, so many times in all.

        Raises:
            TimeoutError: It was not.
        """
        deadline = time.monotonic() + TIMEOUT_S
        while self.shown.count(text) < times:
            if time.monotonic() > deadline or not self._read():
                raise TimeoutError(f"{text!r} was not shown {times} times in: {self.shown!r}")

    def exit_code(self) -> int:
        """Wait for the command's end; returns its exit code."""
        deadline = time.monotonic() + TIMEOUT_S
        while self._read():
            if time.monotonic() > deadline:
                raise TimeoutError(f"It still runs; it showed: {self.shown!r}")
        pid, self._pid = self._pid, 0
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _read(self) -> bool:
        """Take in what is shown; False when the command has closed its terminal."""
        if not select.select([self._descriptor], [], [], 0.1)[0]:
            return True
        try:
            part = os.read(self._descriptor, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            return False
        self.shown += part.decode("utf-8", "replace")
        return bool(part)
