"""Runs engines inside this process, for tests and dry runs.

The engine works on the event loop's own thread, so this is for engines whose steps take no time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path

from saker.core.errors import EngineFailure, SakerError
from saker.engine.base import Engine, check
from saker.engine.fake import FakeEngine
from saker.engine.messages import Cancel, Chunk, Command, Embed, Failed, Generate, Ready, Report, Step, Unfit
from saker.engine.worker import UNFIT
from saker.fleet.base import ReplicaSpec, Worker


def make_fake_engine(spec: ReplicaSpec) -> Engine:
    """The engine without a model."""
    return FakeEngine(spec.options)


class MemoryLauncher:
    """Starts workers that are tasks of the event loop."""

    def __init__(self, make_engine: Callable[[ReplicaSpec], Engine] = make_fake_engine) -> None:
        self._make_engine = make_engine
        self.workers: list[MemoryWorker] = []
        """All that were ever launched, oldest first."""

    async def launch(
        self,
        spec: ReplicaSpec,
        log: Path,
        on_report: Callable[[Report], None],
        on_exit: Callable[[str], None],
    ) -> Worker:
        """Start a worker; it prints nothing."""
        worker = MemoryWorker(lambda: self._make_engine(spec), on_report, on_exit)
        self.workers.append(worker)
        return worker


class MemoryWorker:
    """One worker without a process."""

    pid = 0

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        on_report: Callable[[Report], None],
        on_exit: Callable[[str], None],
    ) -> None:
        self._report = on_report
        self._on_exit = on_exit
        self._inbox: deque[Command] = deque()
        self._has_mail = asyncio.Event()
        self._answers_left: dict[int, int] = {}
        self._is_over = False
        self._task = asyncio.get_running_loop().create_task(self._run(make_engine))

    def send(self, command: Command) -> None:
        """Pass a command on."""
        self._inbox.append(command)
        self._has_mail.set()

    def terminate(self) -> None:
        """End as a process does on SIGTERM."""
        self.end("exited with status 0")

    def kill(self) -> None:
        """End as a process does on SIGKILL."""
        self.end("was killed by signal 9 (SIGKILL)")

    def end(self, cause: str) -> None:
        """End for a reason of the caller's choice."""
        if not self._is_over:
            self._is_over = True
            self._task.cancel()
            asyncio.get_running_loop().call_soon(self._on_exit, cause)

    async def _run(self, make_engine: Callable[[], Engine]) -> None:
        try:
            engine = make_engine()
        except SakerError as error:
            self._report(Unfit(error.what, error.why, error.fix))
            self.end(f"exited with status {UNFIT} (it cannot serve this model)")
            return
        try:
            ready = engine.describe()
            self._report(ready)
            while True:
                await self._turn(engine, ready)
        finally:
            engine.close()

    async def _turn(self, engine: Engine, ready: Ready) -> None:
        """Take in what arrived, then advance by one step."""
        if not engine.has_work():
            await self._has_mail.wait()
        self._has_mail.clear()
        while self._inbox:
            self._handle(engine, ready, self._inbox.popleft())
        if engine.has_work():
            self._step(engine)
        await asyncio.sleep(0)

    def _handle(self, engine: Engine, ready: Ready, command: Command) -> None:
        try:
            match command:
                case Generate(id=id, request=request):
                    check(request, ready.capabilities, ready.engine)
                    engine.submit(id, request)
                    self._answers_left[id] = request.n
                case Embed(id=id, inputs=inputs):
                    self._report(engine.embed(id, inputs))
                case Cancel(id=id):
                    self._answers_left.pop(id, None)
                    engine.cancel(id)
        except SakerError as error:
            self._report(Failed(command.id, type(error).__name__, error.what, error.why, error.fix))

    def _step(self, engine: Engine) -> None:
        try:
            results = engine.step()
        except EngineFailure as error:
            running, self._answers_left = list(self._answers_left), {}
            for id in running:
                self._report(Failed(id, "EngineFailure", error.what))
                engine.cancel(id)
            return
        for entry in results:
            if isinstance(entry, Failed):
                self._answers_left.pop(entry.id, None)
                self._report(entry)
            elif entry.finish is not None:
                self._answers_left[entry.id] -= 1
                if not self._answers_left[entry.id]:
                    del self._answers_left[entry.id]
        self._report(Step(tuple(entry for entry in results if isinstance(entry, Chunk))))
