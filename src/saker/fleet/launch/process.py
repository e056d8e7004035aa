"""Starts workers as child processes of the gateway."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import cast

import msgspec

from saker.core.errors import Unavailable
from saker.engine.messages import Command, Report
from saker.engine.worker import BROKEN_PEER, ENGINE_BROKEN, UNFIT
from saker.fleet.base import ReplicaSpec, Worker
from saker.fleet.launch.connection import Connection
from saker.fleet.launch.output import OutputFile

PASSED_ON = frozenset(
    ("HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER", "XDG_CACHE_HOME")
)
PASSED_ON_PREFIXES = ("CUDA_", "KMP_", "LC_", "MKL_", "NVIDIA_", "OMP_", "OPENBLAS_", "OV_")
"""All that a worker sees of the gateway's environment, which may hold tokens and secrets."""

OUTPUT_BURST_BYTES = 256 * 1024
OUTPUT_PAUSE_S = 0.05
"""Output is read in bursts of that size with pauses between: 5 MiB/s at most, so that a chatty engine costs little."""
HANG_UP_S = 5.0
"""Time between a worker's hanging up and its end; then it is killed."""
LAST_OUTPUT_S = 1.0
"""Time to read what a worker wrote before its end; a process that it left behind may hold the pipe open."""

STATUS_WORDS = {
    UNFIT: "it cannot serve this model",
    BROKEN_PEER: "it was sent something that is no command",
    ENGINE_BROKEN: "its engine failed in every step",
}

log = logging.getLogger(__name__)


class ProcessLauncher:
    """Runs `python -m saker.engine.worker`, joined by a socket pair."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        """
        Args:
            environ: The environment to take a worker's from; None is the gateway's own.
        """
        self._environ = os.environ if environ is None else environ

    async def launch(
        self,
        spec: ReplicaSpec,
        log: Path,
        on_report: Callable[[Report], None],
        on_exit: Callable[[str], None],
    ) -> Worker:
        """Start a worker process in a session of its own, which the terminal's Ctrl-C does not reach."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                output = OutputFile(log)
            except OSError as error:
                ours.close()
                raise _not_started(spec, error) from error
            worker = ProcessWorker(output, on_report, on_exit)
            try:
                await worker.start(ours, _command_line(spec, theirs.fileno()), theirs, self._environment(spec))
            except (OSError, ValueError) as error:
                raise _not_started(spec, error) from error
        return worker

    def _environment(self, spec: ReplicaSpec) -> dict[str, str]:
        passed_on = {
            name: value
            for name, value in self._environ.items()
            if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)
        }
        own = {"PYTHONFAULTHANDLER": "1", "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
        if spec.python_path is not None:
            own["PYTHONPATH"] = str(spec.python_path)
        return passed_on | own | dict(spec.environment)


def _command_line(spec: ReplicaSpec, fd: int) -> list[str]:
    options = msgspec.json.encode(spec.options).decode()
    module = ["-m", "saker.engine.worker", "--engine", spec.engine]
    return [str(spec.python), *module, "--fd", str(fd), "--options", options]


def _not_started(spec: ReplicaSpec, error: Exception) -> Unavailable:
    return Unavailable(
        f"The worker for engine {spec.engine!r} could not be started with {str(spec.python)!r}.",
        why=f"{error}.",
        fix="Run `saker doctor`.",
    )


class ProcessWorker(asyncio.SubprocessProtocol):
    """One worker process: its connection, its output and its end."""

    def __init__(self, output: OutputFile, on_report: Callable[[Report], None], on_exit: Callable[[str], None]) -> None:
        self._output = output
        self._on_exit = on_exit
        self._connection = Connection(on_report, self._on_broken, self._on_lost)
        self._transport: asyncio.SubprocessTransport | None = None
        self._pid = 0
        self._open: set[str] = set()
        self._burst = 0
        self._cause = ""
        self._was_asked = False
        self._has_worked = False
        self._is_finished = False

    @property
    def pid(self) -> int:
        """The process id."""
        return self._pid

    async def start(self, ours: socket.socket, command: list[str], theirs: socket.socket, env: dict[str, str]) -> None:
        """Connect, then start the process; nothing is reported before this returns.

        Raises:
            OSError: It cannot be started; everything is closed again.
        """
        loop = asyncio.get_running_loop()
        try:
            link, _ = await loop.create_unix_connection(lambda: self._connection, sock=ours)
            link.pause_reading()
            await loop.subprocess_exec(
                lambda: self,
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env=env,
            )
        except BaseException:
            self._is_finished = True
            self._connection.close()
            self._output.close()
            raise
        link.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The process runs."""
        self._open = {"process", "output", "connection"}
        self._transport = cast(asyncio.SubprocessTransport, transport)  # uvloop's is one by behaviour only
        self._pid = self._transport.get_pid()

    def send(self, command: Command) -> None:
        """Pass a command on."""
        self._has_worked = True
        self._connection.send(command)

    def terminate(self) -> None:
        """SIGTERM to the worker, which ends its children."""
        self._was_asked = True
        if "process" in self._open:
            # Not the transport's own method: asyncio's may reap the process ahead of the loop, which loses its status.
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the worker and whatever it started."""
        self._was_asked = True
        if "process" in self._open:
            self._kill_group()

    def _kill_group(self) -> None:
        assert self._pid > 0  # 0 would be the gateway's own group
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, signal.SIGKILL)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Keep what the worker prints."""
        self._output.write(data)
        self._burst += len(data)
        if self._burst >= OUTPUT_BURST_BYTES:
            self._burst = 0
            self._pause_output()

    def _pause_output(self) -> None:
        pipe = self._transport.get_pipe_transport(1) if self._transport is not None else None
        if pipe is not None:
            pipe = cast(asyncio.ReadTransport, pipe)
            pipe.pause_reading()
            asyncio.get_running_loop().call_later(OUTPUT_PAUSE_S, pipe.resume_reading)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Nobody can print any more."""
        self._close("output")

    def process_exited(self) -> None:
        """The process has ended; what it left behind ends with it."""
        self._kill_group()  # the group's number stays taken while anything is in it
        asyncio.get_running_loop().call_later(LAST_OUTPUT_S, self._finish)
        self._close("process")

    def _on_broken(self, what: str) -> None:
        self._give_up(f"was killed: it {what}")

    def _on_lost(self) -> None:
        if "process" in self._open:
            asyncio.get_running_loop().call_later(
                HANG_UP_S, self._give_up, "was killed: it hung up and went on running"
            )
        self._close("connection")

    def _give_up(self, cause: str) -> None:
        if "process" in self._open:
            self._cause = self._cause or cause
            self._kill_group()

    def _close(self, part: str) -> None:
        self._open.discard(part)
        if not self._open:
            self._finish()

    def _finish(self) -> None:
        """Report the end, once, after everything that was to be read."""
        if self._is_finished:
            return
        self._is_finished = True
        assert self._transport is not None
        cause = self._cause or self._describe_end(self._transport.get_returncode() or 0)
        self._connection.close()
        self._transport.close()
        self._output.close()
        self._on_exit(cause)

    def _describe_end(self, status: int) -> str:
        if status >= 0:
            words = STATUS_WORDS.get(status)
            return f"exited with status {status}" + (f" ({words})" if words else self._last_words())
        name = signal.Signals(-status).name
        if -status == signal.SIGKILL and not self._was_asked:
            name += "; the system may have run out of memory"
        return f"was killed by signal {-status} ({name})"

    def _last_words(self) -> str:
        """What the worker printed last, unless it may quote a prompt."""
        line = "" if self._has_worked or self._was_asked else self._output.last_line()
        return f"; its last words: {line!r}" if line else ""
