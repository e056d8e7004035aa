"""How long it takes until a model answers, and how much memory the gateway takes."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from bench.gateway import write_fake_model
from bench.load import Load, run
from bench.models import llama_135m
from bench.paths import CACHE
from bench.platform_process import Platform
from bench.processes import Failed, memory_mb, plain_environment
from bench.report import Figure, Part

ANSWER_S = 120
REQUESTS = 20_000
WARM_UP = 2_000
"""Requests before memory counts as idle: caches fill, pools reach their size."""

_BODY = json.dumps({"inputs": "Once upon a time", "parameters": {"max_new_tokens": 1}})


def measure(*, is_quick: bool) -> Part:
    """Measure starts, then memory."""
    part = Part("start")
    _measure_start(part, 1 if is_quick else 3)
    _measure_cold_endpoint(part)
    _measure_help(part, 3 if is_quick else 15)
    _measure_memory(part, REQUESTS // 10 if is_quick else REQUESTS)
    return part


def _measure_start(part: Part, rounds: int) -> None:
    """What `make serve` takes once its environment is installed, up to the answer of endpoint demo."""
    firsts, seconds = [], []
    home = CACHE / "start-home"
    for _ in range(rounds):
        shutil.rmtree(home, ignore_errors=True)
        firsts.append(_start(home))
        seconds.append(_start(home))
    first, second = statistics.median(firsts), statistics.median(seconds)
    part.figures.append(Figure("start to first answer, fresh data folder", first, "s", "lower"))
    part.figures.append(Figure("start to first answer, second run", second, "s", "lower"))


def _start(home: Path) -> float:
    """Seconds from starting the process to the first answer of the endpoint `demo`."""
    begin = time.perf_counter()
    with Platform(home) as platform:
        _first_answer(platform, "demo", begin)
        return time.perf_counter() - begin


def _first_answer(platform: Platform, endpoint: str, begin: float) -> None:
    client = platform.client("sagemaker-runtime")
    while time.perf_counter() - begin < ANSWER_S:
        try:
            client.invoke_endpoint(EndpointName=endpoint, ContentType="application/json", Body=_BODY)
            return
        except (ClientError, BotoCoreError):
            time.sleep(0.01)
    raise Failed(f"endpoint {endpoint} did not answer within {ANSWER_S} s")


def _measure_cold_endpoint(part: Part) -> None:
    """From CreateModel to the first answer, on a running platform; the model is converted already."""
    home = CACHE / "cold-home"
    shutil.rmtree(home, ignore_errors=True)
    with Platform(home, demo="false") as platform:
        _cold_endpoint(part, platform, "embedded", "embedded")
        try:
            _cold_endpoint(part, platform, "135M", str(llama_135m().path))
        except Failed as error:
            part.notes.append(f"the 135M model was left out: {error}")


def _cold_endpoint(part: Part, platform: Platform, name: str, model: str) -> None:
    begin = time.perf_counter()
    platform.deploy(f"cold-{name}", model)
    _first_answer(platform, f"cold-{name}", begin)
    seconds = time.perf_counter() - begin
    part.figures.append(Figure(f"cold start of an endpoint, {name} model", seconds, "s", "lower"))


def _measure_help(part: Part, rounds: int) -> None:
    took = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "saker", "--help"], capture_output=True, env=plain_environment())
        took.append(time.perf_counter() - begin)
        if done.returncode:
            part.notes.append("`saker --help` was left out: it failed")
            return
    part.figures.append(Figure("saker --help", 1e3 * statistics.median(took[1:]), "ms", "lower", target=150))


def _measure_memory(part: Part, requests: int) -> None:
    home = CACHE / "memory-home"
    shutil.rmtree(home, ignore_errors=True)
    with Platform(home, demo="false") as platform:
        platform.deploy("fake", write_fake_model(home / "fake"), SAKER_ENGINE="fake")
        idle = memory_mb(platform.pid)
        (signed,) = platform.sign("invoke_endpoint", [{"EndpointName": "fake", "Body": _BODY}])
        run(Load(platform.port, [signed], 64, WARM_UP))
        warm = memory_mb(platform.pid)
        outcome = run(Load(platform.port, [signed], 64, requests))
        grown = memory_mb(platform.pid) - warm
    part.figures.append(Figure("resident memory of the gateway, idle", idle, "MB", "lower", target=150))
    part.figures.append(Figure(f"the same after {WARM_UP:,} requests", warm, "MB", "lower", target=150))
    part.figures.append(Figure(f"growth over {requests:,} further requests", grown, "MB", "lower", target=2))
    part.figures.append(Figure("failed requests", outcome.failures, "", "lower", target=0))
