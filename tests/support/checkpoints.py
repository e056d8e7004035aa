"""Writes model folders for tests: whole ones, and each in one way broken."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CONFIG: Mapping[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 172,
    "num_hidden_layers": 5,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "vocab_size": 512,
    "max_position_embeddings": 512,
}


def safetensors_bytes(tensors: Mapping[str, Sequence[int]], header: Mapping[str, Any] | None = None) -> bytes:
    """A file of float32 zeros with these shapes; `header` is merged into its header."""
    entries: dict[str, Any] = {}
    at = 0
    for name, shape in tensors.items():
        size = 4
        for dimension in shape:
            size *= dimension
        entries[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    raw = json.dumps(entries | dict(header or {})).encode()
    return struct.pack("<Q", len(raw)) + raw + bytes(at)


def checkpoint_files(**config: Any) -> dict[str, bytes]:
    """The files of a small Llama checkpoint; keywords change its config.json, None removes a key."""
    changed = {name: value for name, value in (dict(CONFIG) | config).items() if value is not None}
    return {
        "config.json": json.dumps(changed).encode(),
        "tokenizer.json": b'{"version": "1.0"}',
        "tokenizer_config.json": b"{}",
        "model.safetensors": safetensors_bytes({"model.embed_tokens.weight": (512, 64), "model.norm.weight": (64,)}),
    }


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Put the files into the folder, and return it."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def gguf_bytes(
    metadata: Mapping[str, Any] | None = None,
    tensors: Mapping[str, tuple[tuple[int, ...], int]] | None = None,
    contents: Mapping[str, bytes] | None = None,
) -> bytes:
    """A GGUF file.

    Args:
        metadata: Merged into `GGUF_METADATA`; None removes a key.
        tensors: Shape, the innermost dimension first, and type number of each.
        contents: Their bytes, in the same order; those without are zeros.
    """
    pairs = dict(GGUF_METADATA) | dict(metadata or {})
    pairs = {name: value for name, value in pairs.items() if value is not None}
    shapes = tensors if tensors is not None else {"token_embd.weight": ((64, 4), 1), "output_norm.weight": ((64,), 0)}
    out = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(pairs))
    for name, value in pairs.items():
        out += _text(name) + _value(value)
    data = b""
    for name, (shape, kind) in shapes.items():
        out += _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, len(data))
        content = (contents or {}).get(name) or bytes(4 * _product(shape))
        data += content + bytes(-len(content) % 32)
    return out + bytes(-len(out) % 32) + data


GGUF_METADATA: Mapping[str, Any] = {
    "general.architecture": "llama",
    "general.file_type": 1,
    "llama.block_count": 2,
    "llama.context_length": 128,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "qwen2",
    "tokenizer.ggml.tokens": ["<unk>", "<s>", "</s>", "a"],
    "tokenizer.ggml.token_type": [2, 3, 3, 1],
    "tokenizer.ggml.merges": ["a a"],
    "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 2,
    "tokenizer.chat_template": "{{ messages[0].content }}",
}


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _value(value: Any) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    if isinstance(value, list) and value and isinstance(value[0], int):
        return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)
    if isinstance(value, list):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    return struct.pack("<II", 4, value)


def _product(shape: Sequence[int]) -> int:
    total = 1
    for dimension in shape:
        total *= dimension
    return total
