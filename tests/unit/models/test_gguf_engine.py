"""What OpenVINO GenAI really reads from GGUF files, beside what `gguf.py` says that it does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from saker.models import safetensors
from saker.models.gguf import READABLE_ARCHITECTURES, READABLE_TYPES
from saker.models.store import EMBEDDED
from support.checkpoints import gguf_bytes
from support.environment import data

pytestmark = pytest.mark.real

PROMPT = [1, 403, 407, 261]  # "Once upon a"
TYPES = {"F16": (1, 1), "Q8_0": (8, 7), "Q4_0": (2, 2), "Q4_1": (3, 3), "Q4_K": (12, 15), "Q6_K": (14, 18)}
"""Each type's number, and the file type that goes with it. Source: ggml.h, ggml_type and ggml_ftype."""

RUN = """
import sys, json, numpy, openvino, openvino_genai
properties = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
scheduler = openvino_genai.SchedulerConfig()
scheduler.num_kv_blocks = 20
pipeline = openvino_genai.ContinuousBatchingPipeline(sys.argv[1], scheduler, "CPU", properties)
config = openvino_genai.GenerationConfig()
config.max_new_tokens = 40
config.ignore_eos = True
prompt = openvino.Tensor(numpy.array([json.loads(sys.argv[2])], dtype=numpy.int64))
print(json.dumps(list(pipeline.generate([prompt], [config])[0].m_generation_ids[0])))
"""


def generate(model: Path) -> list[int]:
    """40 greedy tokens after the prompt."""
    command = [sys.executable, "-c", RUN, str(model), json.dumps(PROMPT)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert 0 == result.returncode, result.stderr[-500:]
    tokens: list[int] = json.loads(result.stdout.splitlines()[-1])
    return tokens


def describe(architecture: str, hidden: int, layers: int, heads: int, kv_heads: int, inner: int) -> dict[str, Any]:
    """The metadata of a model with these sizes and the embedded model's vocabulary."""
    vocabulary = json.loads((EMBEDDED / "tokenizer.json").read_text())["model"]["vocab"]
    return {
        "general.architecture": architecture,
        f"{architecture}.block_count": layers,
        f"{architecture}.context_length": 512,
        f"{architecture}.embedding_length": hidden,
        f"{architecture}.feed_forward_length": inner,
        f"{architecture}.attention.head_count": heads,
        f"{architecture}.attention.head_count_kv": kv_heads,
        f"{architecture}.attention.key_length": hidden // heads,
        f"{architecture}.attention.value_length": hidden // heads,
        f"{architecture}.attention.layer_norm_rms_epsilon": 1e-5,
        f"{architecture}.rope.freq_base": 10000.0,
        f"{architecture}.rope.dimension_count": hidden // heads,
        "tokenizer.ggml.tokens": sorted(vocabulary, key=vocabulary.__getitem__),
        "tokenizer.ggml.token_type": [3] * 3 + [1] * (len(vocabulary) - 3),
    }


def tensors(architecture: str, kind: int) -> dict[str, tuple[tuple[int, ...], int]]:
    """A model of one layer with 256 numbers to a row, as the K types want it."""
    matrix, norm = ((256, 256), kind), ((256,), 0)
    found = {"token_embd.weight": ((256, 512), kind), "output_norm.weight": norm}
    found |= {f"blk.0.{name}_norm.weight": norm for name in ("attn", "ffn")}
    found |= {f"blk.0.attn_{name}.weight": matrix for name in ("q", "k", "v", "output")}
    found |= {f"blk.0.ffn_{name}.weight": matrix for name in ("gate", "up", "down")}
    if architecture == "qwen2":
        found |= {f"blk.0.attn_{name}.bias": norm for name in ("q", "k", "v")}
    if architecture == "qwen3":
        found |= {f"blk.0.attn_{name}_norm.weight": ((64,), 0) for name in ("q", "k")}
    return found


@pytest.mark.parametrize("architecture", READABLE_ARCHITECTURES)
@pytest.mark.parametrize("name", READABLE_TYPES)
def test_what_counts_as_readable_loads(tmp_path: Path, architecture: str, name: str) -> None:
    kind, file_type = TYPES[name]
    path = tmp_path / "m.gguf"
    metadata = describe(architecture, 256, 1, 4, 4, 256) | {"general.file_type": file_type}
    path.write_bytes(gguf_bytes(metadata, tensors(architecture, kind)))

    assert 40 == len(generate(path))


def test_a_gguf_file_tells_the_same_story_as_the_original(tmp_path: Path) -> None:
    """Both are greedy; 16-bit weights may part from 32-bit ones, but not within a first sentence."""
    path = tmp_path / "stories.gguf"
    weights = read_weights(data("tiny_llm_weights") / "stories260K.hf" / "model.safetensors")
    shapes, contents = as_gguf(weights)
    path.write_bytes(gguf_bytes(describe("llama", 64, 5, 8, 4, 172), shapes, contents))

    assert generate(EMBEDDED)[:20] == generate(path)[:20]


Weights = Mapping[str, npt.NDArray[np.float32]]


def read_weights(path: Path) -> Weights:
    """All tensors of a file in 32 bits."""
    header = safetensors.read_header(path)
    content = path.read_bytes()
    start = len(content) - max(tensor.end for tensor in header.values())
    return {
        name: np.frombuffer(content[start + t.start : start + t.end], np.float32).reshape(t.shape)
        for name, t in header.items()
    }


def as_gguf(weights: Weights) -> tuple[dict[str, tuple[tuple[int, ...], int]], dict[str, bytes]]:
    """The tensors under llama.cpp's names, matrices in 16 bits, with queries and keys in its order of rotary pairs."""
    names = {"embed_tokens": "token_embd", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    names |= {f"{x}_proj": f"attn_{x}" for x in "qkv"} | {"o_proj": "attn_output"}
    names |= {f"{x}_proj": f"ffn_{x}" for x in ("gate", "up", "down")}
    shapes: dict[str, tuple[tuple[int, ...], int]] = {}
    contents: dict[str, bytes] = {}
    for name, weight in weights.items():
        parts = name.split(".")
        layer = f"blk.{parts[2]}." if "layers" in parts else ""
        own = layer + names.get(parts[-2], "output_norm") + ".weight"
        if parts[-2] in ("q_proj", "k_proj"):
            heads = 8 if parts[-2] == "q_proj" else 4
            weight = weight.reshape(heads, 2, 4, 64).swapaxes(1, 2).reshape(heads * 8, 64)
        is_matrix = weight.ndim > 1
        shapes[own] = (weight.shape[::-1], 1 if is_matrix else 0)
        contents[own] = weight.astype(np.float16 if is_matrix else np.float32).tobytes()
    return shapes, contents
