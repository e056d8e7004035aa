"""The load generator, in a process of its own: sends requests that were signed beforehand over kept connections.

Closed loop: each client sends its next request when it has the answer to its last. Open loop: requests start at random
times of a given rate (Poisson), whether or not earlier ones are answered, and latency counts from the time at which a
request was due; a server that stalls therefore pays for all that were due meanwhile (no coordinated omission).

The client takes its share of the same cores, so it does little: one write and, for most answers, one read.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import subprocess
import sys
import time
from collections import deque
from typing import Any

import msgspec

from bench.paths import ROOT


class Load(msgspec.Struct, frozen=True):
    """What to send."""

    port: int
    requests: list[bytes]
    """Sent in turn, from the first again after the last."""
    clients: int
    """Connections."""
    count: int
    """Requests in all."""
    rate: float = 0.0
    """Open loop: how many begin in a second; 0 is the closed loop."""
    marker: bytes = b""
    """Its occurrences in an answer are counted: a streamed token each."""
    limit_s: float = 120.0
    """What is not answered by then has failed."""


class Outcome(msgspec.Struct, frozen=True):
    """What came back."""

    latencies_s: list[float]
    """Of each answer with status 200, to its last byte."""
    first_s: list[float]
    """To the first byte of its body."""
    wall_s: float
    """From the first request to the last answer."""
    failures: int
    markers: int
    bodies: list[bytes]
    """A few answers, for a look."""

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies_s) / self.wall_s


def percentile(values: list[float], percent: float) -> float:
    """The nearest-rank percentile; infinite where nothing was measured."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)] if ordered else float("inf")


def run(load: Load) -> Outcome:
    """Send the load from a fresh process and wait for the outcome."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=msgspec.msgpack.encode(load),
        stdout=subprocess.PIPE,
        check=True,
        timeout=load.limit_s + 60,
        cwd=ROOT,
    )
    return msgspec.msgpack.decode(done.stdout, type=Outcome)


class Answer(msgspec.Struct):
    """One request on its way."""

    body: bytes = b""
    status: int = 0
    first_at: float = 0.0
    last_at: float = 0.0


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection with one request at a time."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._received = bytearray()
        self._head = 0
        """Where the body begins; 0 before the head is whole."""
        self._end: int | None = None
        """Where the body ends; None for one in chunks."""
        self._waiting: asyncio.Future[Answer] | None = None
        self._first_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready for a request."""
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Send a request; the future fails when the connection is lost."""
        self._received.clear()
        self._head, self._end, self._first_at = 0, None, 0.0
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._waiting

    def data_received(self, data: bytes) -> None:
        """Note when the body begins and ends."""
        now = time.perf_counter()
        self._received += data
        if not self._head and not self._read_head():
            return
        if not self._first_at and len(self._received) > self._head:
            self._first_at = now
        if len(self._received) == self._end or (self._end is None and self._received.endswith(b"\r\n0\r\n\r\n")):
            self._finish(now)

    def _read_head(self) -> bool:
        found = self._received.find(b"\r\n\r\n")
        if found < 0:
            return False
        self._head = found + 4
        head = bytes(self._received[:found]).lower()
        at = head.find(b"content-length:")
        if at >= 0:
            self._end = self._head + int(head[at + 15 :].split(b"\r\n", 1)[0])
        return True

    def _finish(self, now: float) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            body = bytes(self._received[self._head :])
            waiting.set_result(Answer(body, int(self._received[9:12]), self._first_at or now, now))

    def connection_lost(self, exc: Exception | None) -> None:
        """The request that was running has failed."""
        self._transport = None
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_exception(ConnectionResetError("the server closed the connection"))


class Generator:
    """Sends one load and keeps the books."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._requests = itertools.islice(itertools.cycle(load.requests), load.count)
        self._idle: deque[Connection] = deque()
        self._latencies: list[float] = []
        self._first: list[float] = []
        self._failures = 0
        self._markers = 0
        self._bodies: list[bytes] = []

    async def run(self) -> Outcome:
        """Send everything, at most for as long as the load allows."""
        await asyncio.gather(*(self._connect() for _ in range(self._load.clients)))
        start = time.perf_counter()
        try:
            async with asyncio.timeout(self._load.limit_s):
                await (self._open_loop() if self._load.rate else self._closed_loop())
        except TimeoutError:
            pass
        wall = time.perf_counter() - start
        failures = self._load.count - len(self._latencies)
        return Outcome(self._latencies, self._first, wall, failures, self._markers, self._bodies)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, "127.0.0.1", self._load.port)
        self._idle.append(connection)

    async def _closed_loop(self) -> None:
        async def client() -> None:
            for request in self._requests:  # all clients share the iterator
                await self._ask(request, time.perf_counter())

        async with asyncio.TaskGroup() as group:
            for _ in range(self._load.clients):
                group.create_task(client())

    async def _open_loop(self) -> None:
        gaps = random.Random(1)
        free = asyncio.Semaphore(self._load.clients)

        async def send(request: bytes, due: float) -> None:
            async with free:
                await self._ask(request, due)

        async with asyncio.TaskGroup() as group:
            due = time.perf_counter()
            for request in self._requests:
                due += gaps.expovariate(self._load.rate)
                if (wait := due - time.perf_counter()) > 0:
                    await asyncio.sleep(wait)
                group.create_task(send(request, due))

    async def _ask(self, request: bytes, since: float) -> None:
        if not self._idle:
            await self._connect()
        connection = self._idle.popleft()
        try:
            answer = await connection.ask(request)
        except ConnectionError:
            return
        finally:
            if connection.is_open:
                self._idle.append(connection)
        if len(self._bodies) < 2 or answer.status != 200:
            self._bodies[1:] = [answer.body[:2000]]
        if answer.status == 200:
            self._latencies.append(answer.last_at - since)
            self._first.append(answer.first_at - since)
            self._markers += answer.body.count(self._load.marker) if self._load.marker else 0


def main() -> None:
    """Read a load from standard input, write its outcome to standard output."""
    import uvloop

    load = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Load)
    outcome = uvloop.run(Generator(load).run())
    sys.stdout.buffer.write(msgspec.msgpack.encode(outcome))


if __name__ == "__main__":
    main()
