"""A real worker process spoken to in frames, without a gateway."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import msgspec

from saker.engine.base import EngineOptions
from saker.engine.messages import (
    Cancel,
    Chunk,
    Command,
    Embed,
    Embedded,
    Failed,
    Finish,
    Generate,
    GenerateRequest,
    PromptToken,
    Ready,
    Report,
    Step,
    Token,
    Unfit,
    frame_length,
    pack,
    read_report,
)

SOURCE = Path(__file__).parents[2] / "src"


@dataclass
class Answer:
    """One answer, put together from its chunks."""

    text: str = ""
    chunks: list[str] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    finish: Finish | None = None
    prompt: tuple[PromptToken, ...] = ()


class WorkerProcess:
    """Starts `saker.engine.worker` under any Python; a context manager that leaves no process behind."""

    def __init__(
        self, engine: str, options: EngineOptions, *, python: str = sys.executable, only_saker: Path | None = None
    ) -> None:
        """
        Args:
            only_saker: A folder that holds nothing but a link to the package, to go on PYTHONPATH.
        """
        self._ours, theirs = socket.socketpair()
        environment = os.environ | {"PYTHONPATH": str(only_saker or SOURCE)}
        self.process = subprocess.Popen(
            [
                *(python, "-m", "saker.engine.worker", "--engine", engine, "--fd", str(theirs.fileno())),
                *("--options", msgspec.json.encode(options).decode()),
            ],
            pass_fds=[theirs.fileno()],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        theirs.close()
        self._stream = self._ours.makefile("rb")
        self._ids = iter(range(1, 1 << 31))

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        self.hang_up()
        if self.process.stderr:
            self.process.stderr.close()

    def hang_up(self) -> None:
        """Close this end, as the death of a gateway does."""
        self._stream.close()
        self._ours.close()

    def send(self, command: Command) -> None:
        """Send one command."""
        self._ours.sendall(pack(command))

    def send_bytes(self, data: bytes) -> None:
        """Send what need not be a frame."""
        self._ours.sendall(data)

    def receive(self, timeout_s: float = 60.0) -> Report:
        """The next report."""
        self._ours.settimeout(timeout_s)
        header = self._stream.read(4)
        if len(header) < 4:
            raise EOFError(f"The worker has ended: {self.log()}")
        return read_report(self._stream.read(frame_length(header)))

    def ready(self, timeout_s: float = 120.0) -> Ready:
        """Wait for the model to load."""
        report = self.receive(timeout_s)
        assert isinstance(report, Ready), report
        return report

    def unfit(self, timeout_s: float = 120.0) -> Unfit:
        """Wait for loading to fail for good."""
        report = self.receive(timeout_s)
        assert isinstance(report, Unfit), report
        return report

    def start(self, request: GenerateRequest) -> int:
        """Send a request; its id."""
        id = next(self._ids)
        self.send(Generate(id, request))
        return id

    def chunks(self) -> Iterator[Chunk | Failed]:
        """All chunks and failures as they come, for ever."""
        while True:
            report = self.receive()
            if isinstance(report, Step):
                yield from report.chunks
            elif isinstance(report, Failed):
                yield report

    def collect(self, requests: dict[int, int]) -> dict[int, list[Answer] | Failed]:
        """Wait for requests, given as id and n, and put their answers together."""
        found: dict[int, list[Answer] | Failed] = {id: [Answer() for _ in range(n)] for id, n in requests.items()}
        waiting = {(id, index) for id, n in requests.items() for index in range(n)}
        for chunk in self.chunks():
            if isinstance(chunk, Failed):
                found[chunk.id] = chunk
                waiting = {(id, index) for id, index in waiting if id != chunk.id}
            else:
                answers = found[chunk.id]
                assert isinstance(answers, list)
                _add(answers[chunk.index], chunk)
                if chunk.finish is not None:
                    waiting.remove((chunk.id, chunk.index))
            if not waiting:
                return found
        raise AssertionError("chunks() never ends")

    def ask(self, request: GenerateRequest) -> list[Answer]:
        """Send one request and wait for its answers."""
        id = self.start(request)
        answers = self.collect({id: request.n})[id]
        assert isinstance(answers, list), answers
        return answers

    def ask_failing(self, request: GenerateRequest) -> Failed:
        """Send one request that must fail."""
        id = self.start(request)
        failed = self.collect({id: request.n})[id]
        assert isinstance(failed, Failed), failed
        return failed

    def embed(self, *inputs: str) -> Embedded | Failed:
        """Embed texts."""
        self.send(Embed(next(self._ids), inputs))
        report = self.receive()
        assert isinstance(report, Embedded | Failed), report
        return report

    def cancel(self, id: int) -> None:
        """Cancel a request."""
        self.send(Cancel(id))

    def exit_code(self, timeout_s: float = 20.0) -> int:
        """Wait for the process to end by itself."""
        return self.process.wait(timeout_s)

    def log(self) -> str:
        """What the ended process wrote to stderr."""
        self.process.wait(20)
        assert self.process.stderr is not None
        return self.process.stderr.read()


def wait_until(is_true: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    """Poll until a state is reached."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, f"Not within {timeout_s} s: {what}"
        time.sleep(0.005)


def _add(answer: Answer, chunk: Chunk) -> None:
    answer.text += chunk.text
    answer.chunks.append(chunk.text)
    answer.tokens += chunk.tokens
    answer.finish = chunk.finish
    answer.prompt += chunk.prompt
