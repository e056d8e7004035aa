"""One engine in a fresh process: how long until its first token, and how much memory it takes.

    python -m bench.paged.fresh ENGINE MODEL

The process prints a line when it has its first token, and its memory in MB at the end.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.models import llama_named
from bench.paged.plan import Plan
from bench.paths import ROOT
from bench.processes import Failed, plain_environment
from bench.report import Figure

ENGINES = ("own", "genai")
LIMIT_S = 300
CLIENTS = 8
NEW_TOKENS = 16


def measure(name: str, plan: Plan) -> list[Figure]:
    """Cold start and memory of both. No model may be loaded here meanwhile: a shared file's pages would count less."""
    path, shape = llama_named(name)
    _start("own", path, shape.vocabulary)  # the files come into the system's cache
    found: dict[str, list[tuple[float, float]]] = {engine: [] for engine in ENGINES}
    for round in range(plan.starts):
        for engine in ENGINES if round % 2 else ENGINES[::-1]:
            found[engine].append(_start(engine, path, shape.vocabulary))
    (own_s, own_mb), (genai_s, genai_mb) = (map(statistics.median, zip(*found[of], strict=True)) for of in ENGINES)
    memory = f"memory (PSS) after {CLIENTS} answers of {NEW_TOKENS} tokens"
    return [
        Figure("process start to first token", own_s, "s", "lower", peers={"genai": genai_s}),
        Figure(memory, own_mb, "MB", "lower", peers={"genai": genai_mb}),
    ]


def _start(engine: str, path: Path, vocabulary: int) -> tuple[float, float]:
    """Seconds to the first token, and megabytes at the end."""
    command = [sys.executable, "-m", "bench.paged.fresh", engine, str(path), str(vocabulary)]
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=plain_environment(), text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            took = time.perf_counter() - begin
            rest, _ = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
    if process.returncode:
        raise Failed(f"the process with {engine} ended with status {process.returncode}")
    return took, float(rest)


def _pss_mb() -> float:
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise Failed("/proc/self/smaps_rollup has no line Pss")


def main() -> None:
    """Answer one request, then several; imports no more than a worker with that engine would."""
    import random

    from saker.engine.base import Engine, EngineOptions
    from saker.engine.messages import GenerateRequest

    name, path, vocabulary = sys.argv[1], sys.argv[2], int(sys.argv[3])
    engine: Engine
    if name == "own":
        from saker.engine.paged.engine import PagedEngine

        engine = PagedEngine(EngineOptions(model_path=path))
    else:
        from saker.engine.genai import GenAIEngine

        engine = GenAIEngine(EngineOptions(model_path=path))
    engine.submit(0, GenerateRequest(tokens=(1, 2, 3), max_new_tokens=1, ignore_eos=True))
    while engine.has_work():
        engine.step()
    print("first token", flush=True)
    draw = random.Random(0)
    for id in range(CLIENTS):
        ids = tuple(draw.randrange(1, vocabulary) for _ in range(128))
        engine.submit(id, GenerateRequest(tokens=ids, max_new_tokens=NEW_TOKENS, ignore_eos=True))
    while engine.has_work():
        engine.step()
    print(_pss_mb(), flush=True)
    engine.close()


if __name__ == "__main__":
    main()
