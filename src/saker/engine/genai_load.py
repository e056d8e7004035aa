"""Loads a model into OpenVINO GenAI: precision, room for keys and values, tokenizer."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openvino_genai

from saker.core.errors import Unsupported
from saker.core.suggest import did_you_mean
from saker.engine.base import EngineOptions
from saker.engine.config import ModelConfig
from saker.engine.memory import BLOCK_TOKENS, kv_blocks
from saker.engine.text import FastTokenizer, Tokenizer

PRECISIONS: dict[str, dict[str, str]] = {
    "default": {"KV_CACHE_PRECISION": "u8"},
    "bf16": {"INFERENCE_PRECISION_HINT": "bf16"},
    "fp32": {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"},
}
"""OpenVINO's properties for each precision. The default computes in bf16 where the processor has it, and names the
8-bit cache, which is OpenVINO's own default, because exported models in fp16 ask for a 16-bit one: that is three times
slower where heads are small."""


class PipelineTokenizer:
    """The tokenizer inside an OpenVINO model or GGUF file; slower than `FastTokenizer`."""

    def __init__(self, tokenizer: Any) -> None:
        """
        Raises:
            RuntimeError: The model came without one.
        """
        self._tokenizer = tokenizer
        tokenizer.encode("")

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Token ids."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=special).input_ids.data[0].tolist()
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text, special tokens left out."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True) if ids else ""
        return text


def check_options(options: EngineOptions) -> None:
    """
    Raises:
        Unsupported: A precision or device that this engine does not have.
    """
    if options.precision not in PRECISIONS:
        raise Unsupported(
            f"There is no precision {options.precision!r}.", fix=did_you_mean(options.precision, PRECISIONS)
        )
    if options.device not in ("auto", "cpu"):
        raise Unsupported(
            f"The engine 'genai' runs on the CPU, not on {options.device!r}.",
            fix="Deploy with the engine 'transformers'.",
        )


def schedule(config: ModelConfig, options: EngineOptions, max_context: int) -> tuple[Any, int]:
    """The scheduler's configuration, and how many tokens of one sequence fit its cache."""
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.dynamic_split_fuse = True
    scheduler.enable_prefix_caching = True
    scheduler.max_num_seqs = options.max_sequences
    if config.kv_shape is None:
        wanted = options.kv_cache_bytes
        scheduler.cache_size = max(-(-wanted // 2**30), 1) if wanted else 2  # GiB, in whole numbers
        return scheduler, max_context
    blocks = kv_blocks(
        config.kv_shape,
        4 if options.precision == "fp32" else 2,
        options.kv_cache_bytes,
        (max_context + BLOCK_TOKENS) * options.max_sequences,
    )
    scheduler.num_kv_blocks = blocks + 1  # the pipeline wants one to spare
    return scheduler, blocks * BLOCK_TOKENS


def load_pipeline(path: Path, folder: Path, scheduler: Any, options: EngineOptions) -> tuple[Any, Tokenizer]:
    """The pipeline, and the fastest tokenizer that the model has.

    Args:
        path: The folder, or a GGUF file in it.

    Raises:
        Unsupported: OpenVINO GenAI cannot load the model.
    """
    properties: dict[str, Any] = dict(PRECISIONS[options.precision])
    if options.threads is not None:
        properties["INFERENCE_NUM_THREADS"] = options.threads
    if path == folder and not (folder / "openvino_model.xml").is_file():
        raise Unsupported(f"The folder {folder.name!r} holds no model in OpenVINO's format (openvino_model.xml).")
    try:
        if (folder / "tokenizer.json").is_file():
            fast = FastTokenizer(folder)
            with tempfile.TemporaryDirectory() as empty:
                none = openvino_genai.Tokenizer(empty)
            return openvino_genai.ContinuousBatchingPipeline(str(path), none, scheduler, "CPU", **properties), fast
        pipeline = openvino_genai.ContinuousBatchingPipeline(str(path), scheduler, "CPU", properties)
        return pipeline, PipelineTokenizer(pipeline.get_tokenizer())
    except (RuntimeError, ValueError, IndexError) as error:  # what exceptions of the library become
        raise Unsupported(
            f"OpenVINO GenAI cannot load the model {path.name!r}.",
            why=last_line(error),
            fix="Deploy with the engine 'transformers', or convert the model again.",
        ) from error


def last_line(error: Exception) -> str:
    """What OpenVINO says, without where in its sources it says so."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
