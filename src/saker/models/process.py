"""Starts a helper process, passes its progress on, and leaves nothing of it behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saker.core.errors import BY_NAME, DeadlineExceeded, Internal, SakerError, Unavailable
from saker.models.base import Progress, ProgressCallback

MAX_LINE_BYTES = 1 << 20


@dataclass(frozen=True)
class HelperProcess:
    """A Python module to run as a helper (see `helper.serve`), and how."""

    what: str
    """For error messages: "The download of 'hf://…'"."""
    python: Path
    module: str
    request: Mapping[str, Any] = field(repr=False)
    """May hold a token: it goes through stdin, so that neither the process list nor the environment shows it."""
    log: Path
    timeout_s: float
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    async def run(self, progress: ProgressCallback) -> dict[str, Any]:
        """The helper's result. Cancelling kills the process and its children.

        Raises:
            SakerError: What the helper raised.
            DeadlineExceeded: It ran longer than `timeout_s`.
            Unavailable: It was killed, most likely because memory ran out.
            Internal: It failed for a reason that it did not foresee; the log tells it.
        """
        process = await self._start()
        try:
            async with asyncio.timeout(self.timeout_s):
                result = await self._talk(process, progress)
                await process.wait()
        except TimeoutError:
            raise DeadlineExceeded(
                f"{self.what} ran longer than its limit.",
                why=f"The limit is {self.timeout_s:.0f} s.",
                fix=f"Its log is {str(self.log)!r}.",
            ) from None
        finally:
            await _end(process)
        if result is None:
            raise self._died(process.returncode or 0)
        if "error" in result:
            raise self._raised(result["error"])
        return dict(result["result"])

    async def _start(self) -> asyncio.subprocess.Process:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            return await asyncio.create_subprocess_exec(
                str(self.python),
                "-P",  # the working folder is no place to import from
                "-m",
                self.module,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self.environment,
                limit=MAX_LINE_BYTES,
                start_new_session=True,
            )

    async def _talk(self, process: asyncio.subprocess.Process, progress: ProgressCallback) -> dict[str, Any] | None:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(dict(self.request)).encode() + b"\n")
        with suppress(ConnectionError):  # it died at once; the end of its output tells so too
            await process.stdin.drain()
        async for line in process.stdout:
            message: dict[str, Any] = json.loads(line)
            if "progress" not in message:
                return message
            progress(Progress(**message["progress"]))
        return None

    def _raised(self, error: Mapping[str, str]) -> SakerError:
        kind = BY_NAME.get(error["name"], Internal)
        if kind is Internal:
            return Internal(f"{self.what} failed.", why=error["what"], fix=f"Its log is {str(self.log)!r}.")
        return kind(error["what"], why=error.get("why", ""), fix=error.get("fix", ""))

    def _died(self, returncode: int) -> SakerError:
        if returncode == -signal.SIGKILL:
            return Unavailable(
                f"{self.what} was killed.",
                why="Most likely the machine ran out of memory.",
                fix=f"Free memory or choose a smaller model, and try again. Its log is {str(self.log)!r}.",
            )
        return Internal(
            f"{self.what} ended without a result.",
            why=f"It exited with status {returncode}.",
            fix=f"Its log is {str(self.log)!r}.",
        )


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        process.stdin.close()
    await process.wait()


def public_environment(extra: Mapping[str, str], keep: Callable[[str], bool] = lambda name: True) -> dict[str, str]:
    """This process's environment for a helper, without Saker's and AWS's variables, which hold secrets."""
    hidden = ("SAKER_", "AWS_")
    own = {name: value for name, value in os.environ.items() if not name.startswith(hidden) and keep(name)}
    return own | dict(extra)
