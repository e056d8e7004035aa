"""Builders for tests of the fleet, and a launcher whose workers do what the test says."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from saker.core.errors import Unavailable
from saker.engine.base import EngineOptions
from saker.engine.fake import PARAMETERS
from saker.engine.messages import Capabilities, Chunk, Command, Finish, GenerateRequest, Ready, Report, Unfit
from saker.fleet.base import ReplicaSpec, SetKey, Worker

KEY = SetKey("demo", "d1", "AllTraffic")
READY = Ready("fake", Capabilities(frozenset({"generate"}), PARAMETERS), max_context=4096, load_s=0.0)
SOURCE = Path(__file__).parents[2] / "src"


def make_spec(model: str = "model", **changes: Any) -> ReplicaSpec:
    """A spec for the fake engine."""
    values: dict[str, Any] = {"engine": "fake", "options": EngineOptions(model), "python": Path(sys.executable)}
    return ReplicaSpec(**(values | changes))


def write_fake_model(folder: Path, **fields: object) -> str:
    """Make a model for the fake engine; its path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fake.json").write_text(json.dumps(fields))
    return str(folder)


def make_request(prompt: str = "one two three", **changes: Any) -> GenerateRequest:
    """A request whose answer repeats the prompt."""
    return GenerateRequest(prompt=prompt, **changes)


def last_chunk(id: int, text: str = "", index: int = 0) -> Chunk:
    """A chunk that ends an answer."""
    return Chunk(id, text, index, finish=Finish("eos_token", 1, 1))


class ScriptedWorker:
    """Does nothing until the test says so."""

    pid = 0

    def __init__(self, spec: ReplicaSpec, on_report: Callable[[Report], None], on_exit: Callable[[str], None]) -> None:
        self.spec = spec
        self.report = on_report
        self.exit = on_exit
        self.commands: list[Command] = []
        self.signals: list[str] = []
        self.ends_when_asked = True

    def send(self, command: Command) -> None:
        """Keep the command."""
        self.commands.append(command)

    def terminate(self) -> None:
        """End, unless told to ignore it."""
        self._signal("TERM", self.ends_when_asked)

    def kill(self) -> None:
        """End."""
        self._signal("KILL", True)

    def _signal(self, name: str, ends: bool) -> None:
        if ends and "KILL" not in self.signals and not (self.ends_when_asked and "TERM" in self.signals):
            asyncio.get_running_loop().call_soon(self.exit, f"was ended by SIG{name}")
        self.signals.append(name)

    def become_ready(self) -> None:
        """Report that the model is loaded."""
        self.report(READY)

    def be_unfit(self, what: str) -> None:
        """Report that the model cannot be served, and end."""
        self.report(Unfit(what, "why", "fix"))
        self.exit("exited with status 3")


class ScriptedLauncher:
    """Keeps the workers that it launched for the test to play."""

    def __init__(self, *, auto_ready: bool = False) -> None:
        """
        Args:
            auto_ready: Whether workers become ready by themselves.
        """
        self.workers: list[ScriptedWorker] = []
        self.auto_ready = auto_ready
        self.refusals: list[str] = []
        """Launches fail with these, one each, before any succeeds."""

    async def launch(
        self, spec: ReplicaSpec, log: Path, on_report: Callable[[Report], None], on_exit: Callable[[str], None]
    ) -> Worker:
        """Make a worker."""
        if self.refusals:
            raise Unavailable("The worker could not be started.", why=self.refusals.pop(0))
        worker = ScriptedWorker(spec, on_report, on_exit)
        self.workers.append(worker)
        if self.auto_ready:
            asyncio.get_running_loop().call_soon(worker.become_ready)
        return worker


async def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    """Return as soon as the condition holds.

    Raises:
        AssertionError: It did not come to hold in time.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the state that the test waits for did not come"
        await asyncio.sleep(0.002)


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
