"""What the gateway costs: latency it adds, requests and streamed tokens per second, beside other gateways.

Saker stands before its fake engine, the others before the bare backend; both answer at once.
"""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from msgspec import structs

from bench.load import Load, Outcome, percentile, run
from bench.paths import CACHE
from bench.peers import Backend, LiteLLM, Peer, Portkey
from bench.platform_process import Platform, post
from bench.processes import Failed, cpu_s
from bench.report import Better, Figure, Part

CLIENTS = 64
STREAM_TOKENS = 64
OPEN_RATE = 1000.0
OPEN_CONNECTIONS = 512
GRACE_S = 10.0
"""How long an open loop waits for what is unanswered at its end."""

ENDPOINT = "fake"
_PROMPT = "Hello there"
_JSON = "application/json"


@dataclass(frozen=True)
class Plan:
    """How long to measure."""

    rounds: int
    round_s: float


@dataclass(frozen=True)
class Subject:
    """Something that answers requests."""

    name: str
    port: int
    request: bytes
    stream: bytes
    marker: bytes
    """Occurs once in each streamed token."""
    pid: int

    def closed(self, clients: int, count: int) -> Outcome:
        """The closed loop."""
        return run(Load(self.port, [self.request], clients, count))

    def rate(self) -> float:
        """Requests per second of one client, roughly; warms up on the way."""
        return self.closed(1, 100).rate


@dataclass
class Measured:
    """One subject's numbers."""

    added_p50_ms: float = 0.0
    added_p99_ms: float = 0.0
    rate: float = 0.0
    cpu_us: float = 0.0
    open_p99_ms: float = 0.0
    failures: int = 0
    tokens_per_s: float = 0.0
    notes: list[str] = field(default_factory=list)


ROWS: tuple[tuple[str, str, str, Better, float | None], ...] = (
    ("added_p50_ms", "added latency, one client, p50", "ms", "lower", 1.0),
    ("added_p99_ms", "added latency, one client, p99", "ms", "lower", None),
    ("rate", f"requests/s, {CLIENTS} clients", "/s", "higher", 2000.0),
    ("cpu_us", f"CPU time of the gateway per request, {CLIENTS} clients", "µs", "lower", None),
    ("open_p99_ms", f"open loop {OPEN_RATE:.0f}/s, p99", "ms", "lower", 25.0),
    ("failures", "failed requests", "", "lower", 0.0),
    ("tokens_per_s", f"streamed tokens/s, {CLIENTS} streams of {STREAM_TOKENS}", "/s", "higher", None),
)


def measure(*, is_quick: bool) -> Part:
    """Measure Saker by both of its dialects, then the peers."""
    plan = Plan(2, 1.0) if is_quick else Plan(5, 2.0)
    part = Part("gateway")
    with Backend() as backend:
        bare = _peer_subject("uvicorn", backend)
        with _saker() as subjects:
            own = {subject.name: _measure(subject, bare, plan) for subject in subjects}
        peers: dict[str, Measured] = {}
        for name, make in (("LiteLLM", LiteLLM), ("Portkey", Portkey)):
            try:
                with make(backend.port) as peer:
                    peers[name] = _measure(_peer_subject(name, peer), bare, plan)
            except Failed as error:
                part.notes.append(f"{name} was left out: {error}")
        part.notes.append(_bare_note(bare))
    for dialect, measured in own.items():
        part.figures += [_figure(row, dialect, measured, peers) for row in ROWS]
    part.notes += [note for measured in (*own.values(), *peers.values()) for note in measured.notes]
    return part


@contextmanager
def _saker() -> Iterator[list[Subject]]:
    home = CACHE / "gateway-home"
    shutil.rmtree(home, ignore_errors=True)
    with Platform(home, demo="false") as platform:
        platform.deploy(ENDPOINT, write_fake_model(home / "fake"), SAKER_ENGINE="fake")
        yield [_aws_subject(platform), _openai_subject(platform)]


def write_fake_model(folder: Path) -> Path:
    """A model for the fake engine with answers of as many tokens as a stream has."""
    folder.mkdir(parents=True)
    (folder / "fake.json").write_text(json.dumps({"words": ["word"] * STREAM_TOKENS}))
    return folder


def _aws_subject(platform: Platform) -> Subject:
    def sign(operation: str, tokens: int) -> bytes:
        body = json.dumps({"inputs": _PROMPT, "parameters": {"max_new_tokens": tokens}})
        (signed,) = platform.sign(operation, [{"EndpointName": ENDPOINT, "ContentType": _JSON, "Body": body}])
        return signed

    whole, stream = sign("invoke_endpoint", 1), sign("invoke_endpoint_with_response_stream", STREAM_TOKENS)
    return Subject("InvokeEndpoint", platform.port, whole, stream, b'"token"', platform.pid)


def _openai_subject(platform: Platform) -> Subject:
    def ask(tokens: int, *, stream: bool) -> bytes:
        body = {"model": ENDPOINT, "messages": [{"role": "user", "content": _PROMPT}], "max_tokens": tokens}
        key = f"Bearer {platform.root.bearer_key}"
        return post(platform.port, "/v1/chat/completions", body | {"stream": stream}, authorization=key)

    whole, stream = ask(1, stream=False), ask(STREAM_TOKENS, stream=True)
    return Subject("chat/completions", platform.port, whole, stream, b'"delta"', platform.pid)


def _peer_subject(name: str, peer: Peer) -> Subject:
    return Subject(name, peer.port, peer.request(), peer.request(stream=True), b'"delta"', peer.pid)


def _measure(subject: Subject, bare: Subject, plan: Plan) -> Measured:
    measured = Measured()
    _measure_latency(subject, bare, plan, measured)
    _measure_rate(subject, plan, measured)
    _measure_streams(subject, plan, measured)
    _measure_open_loop(subject, plan, measured)  # last: it leaves a slow gateway with a backlog
    return measured


def _measure_latency(subject: Subject, bare: Subject, plan: Plan, measured: Measured) -> None:
    """Round for round after the bare backend, so that both see the same machine."""
    count = _count(subject.rate() * plan.round_s)
    p50, p99 = [], []
    for _ in range(plan.rounds):
        base, own = bare.closed(1, count), subject.closed(1, count)
        measured.failures += own.failures
        p50.append(percentile(own.latencies_s, 50) - percentile(base.latencies_s, 50))
        p99.append(percentile(own.latencies_s, 99) - percentile(base.latencies_s, 99))
    measured.added_p50_ms = statistics.median(p50) * 1e3
    measured.added_p99_ms = statistics.median(p99) * 1e3


def _measure_rate(subject: Subject, plan: Plan, measured: Measured) -> None:
    count = _count(subject.closed(CLIENTS, 4 * CLIENTS).rate * plan.round_s)
    rates, cpu = [], []
    for _ in range(plan.rounds):
        before = cpu_s(subject.pid)
        own = subject.closed(CLIENTS, count)
        cpu.append((cpu_s(subject.pid) - before) / count)
        measured.failures += own.failures
        rates.append(own.rate)
    measured.rate = statistics.median(rates)
    measured.cpu_us = statistics.median(cpu) * 1e6


def _measure_streams(subject: Subject, plan: Plan, measured: Measured) -> None:
    load = Load(subject.port, [subject.stream], CLIENTS, CLIENTS, marker=subject.marker)
    first = run(load)
    if first.failures:
        measured.notes.append(
            f"{subject.name}: {first.failures} of {CLIENTS} first streams failed: {first.bodies[-1]!r:.150}"
        )
        return
    count = max(int(len(first.latencies_s) / first.wall_s * plan.round_s), 2 * CLIENTS)
    outcomes = [run(structs.replace(load, count=count)) for _ in range(plan.rounds)]
    measured.failures += sum(outcome.failures for outcome in outcomes)
    measured.tokens_per_s = statistics.median(outcome.markers / outcome.wall_s for outcome in outcomes)


def _measure_open_loop(subject: Subject, plan: Plan, measured: Measured) -> None:
    p99 = []
    count = int(OPEN_RATE * plan.round_s)
    for _ in range(plan.rounds):
        load = Load(subject.port, [subject.request], OPEN_CONNECTIONS, count, OPEN_RATE, limit_s=plan.round_s + GRACE_S)
        own = run(load)
        measured.failures += own.failures
        p99.append(percentile(own.latencies_s + [load.limit_s] * own.failures, 99))
        if own.failures:
            measured.notes.append(f"{subject.name}: the open loop left {own.failures} of {count} requests unanswered.")
            break  # it collapses under this load; more rounds would only measure the backlog
    measured.open_p99_ms = statistics.median(p99) * 1e3


def _count(wanted: float) -> int:
    return max(int(wanted), 2 * CLIENTS)


def _bare_note(bare: Subject) -> str:
    one, many = bare.closed(1, 2000), bare.closed(CLIENTS, 20_000)
    p50 = percentile(one.latencies_s, 50) * 1e3
    return f"uvicorn alone: {p50:.2f} ms p50 with one client, {many.rate:,.0f} requests/s with {CLIENTS}."


def _figure(
    row: tuple[str, str, str, Better, float | None], dialect: str, measured: Measured, peers: dict[str, Measured]
) -> Figure:
    attribute, name, unit, better, target = row
    figure = Figure(f"{dialect}: {name}", getattr(measured, attribute), unit, better, target)
    return replace(figure, peers={peer: float(getattr(other, attribute)) for peer, other in peers.items()})
