"""What fewer bits cost: perplexity of the same weights as fp32, fp16, int8 and int4, by teacher forcing in OpenVINO.

stories260K on stories of its own kind. Perplexity is exp of the mean negative log-likelihood of each next token.
"""

from __future__ import annotations

import asyncio
import math
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np

from bench.paths import CACHE, ROOT, torch_python
from bench.report import Figure, Part
from saker.engine.text import FastTokenizer
from saker.models.base import Preparation, WeightFormat
from saker.models.environments import EngineEnvironments
from saker.models.source import ModelSource
from saker.models.store import ModelStore

DATA = ROOT.parent / "shared" / "data"
CHECKPOINT = DATA / "tiny_llm_weights" / "stories260K.hf"
STORIES = DATA / "text_tinystories" / "tinystories_cased_2MB.txt"
FORMATS: tuple[WeightFormat, ...] = ("fp32", "fp16", "int8", "int4")
CONTEXT = 256


def measure(*, is_quick: bool) -> Part:
    """Perplexity of each weight format; a note instead where the weights or the conversion tools are absent."""
    part = Part("perplexity")
    if not STORIES.exists() or not CHECKPOINT.exists():
        part.notes.append("Left out: the stories or the checkpoint's weights are not here.")
        return part
    if torch_python() is None:
        part.notes.append("Left out: conversions need the torch engine environment; `make engines` makes it.")
        return part
    stories = _stories(40 if is_quick else 400)
    found = {name: perplexity(path, stories) for name, path in asyncio.run(_convert()).items()}
    for name, value in found.items():
        peers = {} if name == "fp32" else {"fp32": found["fp32"]}
        part.figures.append(Figure(f"stories260K, {name} weights: perplexity", value, "", "lower", None, peers))
    part.notes.append(f"{len(stories)} stories of the TinyStories sample, cut at {CONTEXT} tokens; fp32 arithmetic.")
    return part


def perplexity(model: Path, texts: list[str]) -> float:
    """Over all tokens of all texts but each one's first."""
    import openvino as ov  # here, so that other parts run without it

    tokenizer = FastTokenizer(model)
    compiled = ov.Core().compile_model(
        model / "openvino_model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
    )
    request = compiled.create_infer_request()
    total, count = 0.0, 0
    for text in texts:
        ids_T = np.array(tokenizer.encode(text, special=True)[:CONTEXT], dtype=np.int64)
        request.reset_state()
        inputs = {
            "input_ids": ids_T[None],
            "attention_mask": np.ones((1, len(ids_T)), np.int64),
            "position_ids": np.arange(len(ids_T), dtype=np.int64)[None],
            "beam_idx": np.zeros(1, np.int32),
        }
        logits_TV = request.infer(inputs)[compiled.outputs[0]][0].astype(np.float64)
        total += _negative_log_likelihood(logits_TV[:-1], ids_T[1:])
        count += len(ids_T) - 1
    return math.exp(total / count)


def _negative_log_likelihood(logits_TV: np.ndarray, next_T: np.ndarray) -> float:
    shifted_TV = logits_TV - logits_TV.max(axis=1, keepdims=True)
    chosen_T = shifted_TV[np.arange(len(next_T)), next_T]
    return float((np.log(np.exp(shifted_TV).sum(axis=1)) - chosen_T).sum())


def _stories(count: int) -> list[str]:
    stories = STORIES.read_text(encoding="utf-8").split("<|endoftext|>")
    return [story.strip() for story in stories if len(story) > 200][:count]


async def _convert() -> dict[str, Path]:
    """The checkpoint in every weight format, by the platform's own preparation."""
    source = CACHE / "stories260K"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(CHECKPOINT, source)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        source.joinpath(name).write_bytes((files("saker.models") / "embedded" / name).read_bytes())
    environments = EngineEnvironments(ROOT / ".cache" / "engines")
    store = ModelStore(CACHE / "models", environments)
    paths: dict[str, Path] = {}
    for format in FORMATS:
        request = Preparation(ModelSource("folder", str(source)), engine="genai", weight_format=format)
        paths[format] = (await store.prepare(request, lambda _: None)).path
    return paths
