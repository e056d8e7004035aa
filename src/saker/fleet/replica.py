"""One worker as the gateway sees it: its state, and the many requests that share its connection."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeVar

from saker.core.clock import Clock
from saker.core.errors import BY_NAME, EngineFailure, SakerError, Throttled, Unavailable
from saker.engine.messages import (
    Cancel,
    Chunk,
    Command,
    Embed,
    Embedded,
    Failed,
    Generate,
    GenerateRequest,
    Ready,
    Report,
    Step,
    Unfit,
)
from saker.fleet.base import ReplicaSpec, ReplicaState, SetKey, Worker
from saker.fleet.pending import AllChunks, ChunkStream, OneEmbedding, Pending

P = TypeVar("P", bound=Pending)

TAKES_REQUESTS = frozenset({ReplicaState.READY, ReplicaState.DRAINING})
"""A draining replica still takes the request of a caller that chose it a moment ago."""


class Replica:
    """Sends requests to one worker and hands its reports to those who wait for them."""

    def __init__(
        self,
        id: str,
        key: SetKey,
        spec: ReplicaSpec,
        *,
        max_queue: int,
        clock: Clock,
        on_change: Callable[[Replica], None],
        on_exit: Callable[[Replica, str], None],
    ) -> None:
        """
        Args:
            on_change: Called when the state has changed, and when a draining replica has become idle.
            on_exit: Called with the cause when the process has ended and its requests have failed; `state` is still
                the one that it ended in.
        """
        self.id = id
        self.key = key
        self.spec = spec
        self.state = ReplicaState.STARTING
        self.since = clock.monotonic()
        self.description: Ready | None = None
        """What the worker said of itself when it became ready."""
        self.unfit: Unfit | None = None
        """Why the worker cannot serve its model."""
        self._max_queue = max_queue
        self._clock = clock
        self._on_change = on_change
        self._on_exit = on_exit
        self._worker: Worker | None = None
        self._ids = itertools.count(1)
        self._pending: dict[int, Pending] = {}
        self._stop_reason = ""

    @property
    def pid(self) -> int:
        """The worker's process id; 0 where there is none."""
        return self._worker.pid if self._worker is not None else 0

    @property
    def in_flight(self) -> int:
        """How many requests the worker has."""
        return len(self._pending)

    @property
    def is_draining(self) -> bool:
        """Whether it should get nothing new."""
        return self.state is not ReplicaState.READY

    def generate(self, request: GenerateRequest) -> ChunkStream:
        """Start a request; its chunks come as the worker reports them. Close the stream when leaving it early.

        Raises:
            Throttled: As many requests as `max_queue` allows are in flight.
            Unavailable: The replica takes no requests.
            TooLarge: The request does not fit into a frame.
        """
        id = next(self._ids)
        return self._send(Generate(id, request), ChunkStream(request.n, lambda: self._cancel(id)))

    async def collect(self, request: GenerateRequest) -> list[Chunk]:
        """All chunks of a request, when it is over. Cancelling the call cancels the request.

        Raises:
            SakerError: As `generate`, or the request failed.
        """
        id = next(self._ids)
        waiting = self._send(Generate(id, request), AllChunks(request.n))
        try:
            return await waiting.future
        finally:
            self._cancel(id)

    async def embed(self, inputs: tuple[str, ...]) -> Embedded:
        """The embeddings of texts.

        Raises:
            SakerError: As `generate`, or the request failed.
        """
        id = next(self._ids)
        waiting = self._send(Embed(id, inputs), OneEmbedding())
        try:
            return await waiting.future
        finally:
            self._cancel(id)

    def _send(self, command: Generate | Embed, pending: P) -> P:
        if self.state not in TAKES_REQUESTS or self._worker is None:
            raise Unavailable(f"Replica {self.id!r} takes no requests.", why=f"It is {self.state.value}.")
        if len(self._pending) >= self._max_queue:
            raise Throttled(
                f"Replica {self.id!r} of endpoint {self.key.endpoint!r} has {len(self._pending)} requests in flight.",
                why=f"The setting max_queue allows {self._max_queue}.",
                fix="Try again in a moment, or give the endpoint more instances.",
            )
        self._worker.send(command)
        self._pending[command.id] = pending
        return pending

    def _cancel(self, id: int) -> None:
        """Nobody waits any more; does nothing when the request is over."""
        if id in self._pending:
            self._end(id)
            self._command(Cancel(id))

    def _command(self, command: Command) -> None:
        if self._worker is not None:
            self._worker.send(command)

    def _end(self, id: int) -> None:
        del self._pending[id]
        if not self._pending and self.state is ReplicaState.DRAINING:
            self._on_change(self)

    def attach(self, worker: Worker) -> None:
        """The process has been launched."""
        self._worker = worker
        if self.state is ReplicaState.STOPPING:
            worker.terminate()

    def drain(self) -> None:
        """Finish what is running and take nothing new."""
        self._enter(ReplicaState.DRAINING)

    def stop(self, reason: str) -> None:
        """Ask the process to end; `reason` is a sentence for the requests that it ends with."""
        self._stop_reason = reason
        self._enter(ReplicaState.STOPPING)
        if self._worker is not None:
            self._worker.terminate()

    def kill(self, reason: str = "") -> None:
        """End the process at once."""
        self._stop_reason = self._stop_reason or reason
        self._enter(ReplicaState.STOPPING)
        if self._worker is not None:
            self._worker.kill()

    def _enter(self, state: ReplicaState) -> None:
        self.state = state
        self.since = self._clock.monotonic()
        self._on_change(self)

    def on_report(self, report: Report) -> None:
        """Hand a report to whoever waits for it; one that nobody waits for any more is dropped."""
        match report:
            case Step(chunks=chunks):
                for chunk in chunks:
                    self._take(chunk)
            case Failed(id=id) if (pending := self._pending.get(id)) is not None:
                pending.fail(_error(report))
                self._end(id)
            case Embedded(id=id) if isinstance(pending := self._pending.get(id), OneEmbedding):
                pending.take(report)
                self._end(id)
            case Ready() if self.state is ReplicaState.STARTING:
                self.description = report
                self._enter(ReplicaState.READY)
            case Unfit():
                self.unfit = report

    def _take(self, chunk: Chunk) -> None:
        pending = self._pending.get(chunk.id)
        if isinstance(pending, ChunkStream | AllChunks) and pending.take(chunk):
            self._end(chunk.id)

    def on_exit(self, cause: str) -> None:
        """The process has ended: everyone who waits is told."""
        self._worker = None
        running, self._pending = self._pending, {}
        for pending in running.values():
            pending.fail(self._loss(cause))
        self._on_exit(self, cause)
        self._enter(ReplicaState.GONE)

    def _loss(self, cause: str) -> SakerError:
        if self._stop_reason:
            return Unavailable(
                f"Replica {self.id!r} was stopped while it worked on this request.",
                why=self._stop_reason,
                fix="Send the request again.",
            )
        # Not the model's failure: another process serves the same request, so clients that retry get their answer.
        return Unavailable(
            f"The replica's process {cause} while it worked on this request.",
            fix="Send the request again; another process takes over.",
        )


def _error(report: Failed) -> SakerError:
    return BY_NAME.get(report.error, EngineFailure)(report.what, why=report.why, fix=report.fix)
