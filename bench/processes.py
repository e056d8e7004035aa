"""Starts the processes that are measured, and ends them again whatever happens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

STOP_S = 15
"""Between asking a process to stop and killing it."""


class Failed(Exception):
    """A process did not do its part; says which, and where its output is."""


class Server:
    """A process that listens on a port of its own on loopback. A context manager: leaving it ends the process."""

    def __init__(self, command: Sequence[str], port: int, log: Path, env: Mapping[str, str], start_s: float = 60):
        self.port = port
        self._command = list(command)
        self._log = log
        self._env = dict(env)
        self._start_s = start_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def is_up(self) -> bool:
        """Whether it takes connections."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self) -> Self:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self._env, start_new_session=True
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process and whatever it started in its session."""
        process = self._process
        if process is None:
            return
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the group outlives its leader where something is left in it
        process.wait(STOP_S)
        self._process = None

    def _wait(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + self._start_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise Failed(f"{self._command[0]} ended with status {self._process.returncode}; see {self._log}")
            if self.is_up():
                return
            time.sleep(0.01)
        raise Failed(f"{self._command[0]} did not listen within {self._start_s:g} s; see {self._log}")


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def plain_environment() -> dict[str, str]:
    """This process's environment without what would configure Saker or a peer behind our back."""
    foreign = ("SAKER_", "LITELLM_", "AWS_", "OPENAI_", "HF_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def memory_mb(pid: int) -> float:
    """The resident memory of one process in MB (10^6 bytes); shared pages count whole."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise Failed(f"/proc/{pid}/smaps_rollup has no line Rss")


def foreign_load(seconds: float = 2.0) -> float:
    """How many processors others keep busy; measured while we sleep."""
    busy, total = _processor_ticks()
    time.sleep(seconds)
    busy_after, total_after = _processor_ticks()
    return len(os.sched_getaffinity(0)) * (busy_after - busy) / (total_after - total)


def _processor_ticks() -> tuple[int, int]:
    """Busy and all ticks of all processors since the start. Source: `man 5 proc_stat`."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)  # without idle and iowait


def cpu_s(pid: int) -> float:
    """The processor time that one process has taken, in seconds; 0 where it is gone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
