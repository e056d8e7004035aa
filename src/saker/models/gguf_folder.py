"""Lays out a GGUF file as engines expect a model: a folder with config.json, end tokens and chat template beside it.

OpenVINO GenAI reads weights and tokenizer from the file itself; whatever else an engine knows of a model it reads from
the small files that are written here from the GGUF metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saker.models.gguf import GgufHeader

_CLASSES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}
_END_TOKENS = ("eos_token_id", "eot_token_id", "eom_token_id")
MODEL = "model.gguf"


def write_gguf_folder(file: Path, header: GgufHeader, folder: Path) -> None:
    """Fill the folder: a link to the file, and its companions."""
    (folder / MODEL).symlink_to(file.resolve())
    _write(folder / "config.json", _config(header))
    end_tokens = [header.metadata.get(f"tokenizer.ggml.{name}") for name in _END_TOKENS]
    _write(
        folder / "generation_config.json", {"eos_token_id": [i for i in dict.fromkeys(end_tokens) if type(i) is int]}
    )
    _write(folder / "tokenizer_config.json", _tokenizer_config(header))


def _config(header: GgufHeader) -> dict[str, Any]:
    heads = header.number("attention.head_count")
    hidden = header.number("embedding_length")
    numbers = {
        "hidden_size": hidden,
        "intermediate_size": header.number("feed_forward_length"),
        "max_position_embeddings": header.number("context_length"),
        "num_attention_heads": heads,
        "num_hidden_layers": header.number("block_count"),
        "num_key_value_heads": header.number("attention.head_count_kv") or heads,
        "head_dim": header.number("attention.key_length") or (hidden // heads if heads else 0),
        "vocab_size": len(header.tokens),
    }
    known = {name: value for name, value in numbers.items() if value}
    return {"architectures": [_CLASSES[header.architecture]], "model_type": header.architecture} | known


def _tokenizer_config(header: GgufHeader) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, key in (("bos_token", "bos_token_id"), ("eos_token", "eos_token_id"), ("pad_token", "padding_token_id")):
        token = header.metadata.get(f"tokenizer.ggml.{key}")
        if type(token) is int and 0 <= token < len(header.tokens):
            found[name] = header.tokens[token]
    template = header.metadata.get("tokenizer.chat_template")
    return found | ({"chat_template": template} if isinstance(template, str) else {})


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
