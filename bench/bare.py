"""The bare pipeline, in a process of its own: OpenVINO GenAI's continuous batching and nothing around it.

It gets token ids and gives token ids: no tokenizer, no text, no HTTP, no other process.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from bench.paths import ROOT
from bench.processes import Failed

_LENGTH = struct.Struct("!I")
NO_TOKEN = 2**31 - 1
"""An id that no vocabulary has, so that nothing ends an answer early; the pipeline refuses to have none."""


class Batch(msgspec.Struct, frozen=True):
    """Prompts to answer."""

    prompts: list[list[int]]
    clients: int
    """How many run at once; the next one starts when one is over."""
    new_tokens: int


class Result(msgspec.Struct, frozen=True):
    """What came of a batch."""

    wall_s: float
    tokens: int
    first_s: float
    """From the start to the first token of any prompt."""


class BarePipeline:
    """The process, seen from outside. A context manager: leaving it ends the process."""

    def __init__(self, model: Path, max_sequences: int) -> None:
        command = [sys.executable, "-m", "bench.bare", str(model), str(max_sequences)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def run(self, batch: Batch) -> Result:
        """Answer a batch; waits for the model to load the first time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        _write(self._process.stdin, batch)
        body = _read(self._process.stdout)
        if body is None:
            raise Failed("the bare pipeline has ended")
        return msgspec.msgpack.decode(body, type=Result)


def _write(stream: Any, message: Any) -> None:
    body = msgspec.msgpack.encode(message)
    stream.write(_LENGTH.pack(len(body)) + body)
    stream.flush()


def _read(stream: Any) -> bytes | None:
    header = stream.read(_LENGTH.size)
    return stream.read(_LENGTH.unpack(header)[0]) if len(header) == _LENGTH.size else None


def load(model: Path, max_sequences: int, *, kv_cache_bytes: int | None = None, step_tokens: int | None = None) -> Any:
    """The pipeline, configured as Saker's engine `genai` configures it.

    Args:
        step_tokens: At most so many in a step; None leaves it at the pipeline's default.
    """
    import openvino_genai

    from saker.engine.config import read_config
    from saker.engine.memory import BLOCK_TOKENS, kv_blocks

    config = read_config(model)
    assert config.kv_shape is not None  # both benchmark models say it
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.dynamic_split_fuse = True
    scheduler.enable_prefix_caching = True
    scheduler.max_num_seqs = max_sequences
    if step_tokens is not None:
        scheduler.max_num_batched_tokens = step_tokens
    scheduler.num_kv_blocks = 1 + kv_blocks(
        config.kv_shape, 2, kv_cache_bytes, (config.max_context + BLOCK_TOKENS) * max_sequences
    )
    return openvino_genai.ContinuousBatchingPipeline(str(model), scheduler, "CPU", {})


def answer(pipeline: Any, batch: Batch) -> Result:
    """Answer a batch, greedily."""
    import numpy as np
    import openvino
    import openvino_genai

    running_state = openvino_genai.GenerationStatus.RUNNING
    config = openvino_genai.GenerationConfig()
    config.max_new_tokens = batch.new_tokens
    config.set_eos_token_id(NO_TOKEN)
    waiting = deque(openvino.Tensor(np.array([ids], dtype=np.int64)) for ids in batch.prompts)
    running: list[Any] = []
    tokens, number, first, begin = 0, 0, 0.0, time.perf_counter()
    while waiting or running:
        while waiting and len(running) < batch.clients:
            running.append(pipeline.add_request(number, waiting.popleft(), config))
            number += 1
        pipeline.step()
        if not first and any(handle.can_read() for handle in running):
            first = time.perf_counter() - begin
        # Reading each token would cost this side time that Saker does not spend on whole answers.
        over = [handle for handle in running if handle.get_status() != running_state]
        tokens += sum(len(handle.read_all()[0].generated_ids) for handle in over)
        if over:
            running = [handle for handle in running if handle not in over]
    return Result(time.perf_counter() - begin, tokens, first)


def main() -> None:
    """Answer batches from standard input until it ends."""
    pipeline = load(Path(sys.argv[1]), int(sys.argv[2]))
    while (body := _read(sys.stdin.buffer)) is not None:
        _write(sys.stdout.buffer, answer(pipeline, msgspec.msgpack.decode(body, type=Batch)))


if __name__ == "__main__":
    main()
