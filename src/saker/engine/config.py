"""What a model's own files say about it: limits, end tokens, shapes. Reads JSON only, never code."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saker.core.errors import Unsupported

_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length", "n_ctx")
"""Where architectures put the length they were trained for, the commonest first."""

DEFAULT_CONTEXT = 2048
"""For architectures without any such limit (relative positions)."""


@dataclass(frozen=True)
class KVShape:
    """What one token's keys and values take."""

    layers: int
    heads: int
    """Of keys and values; fewer than attention heads under grouped-query attention."""
    head_size: int


@dataclass(frozen=True)
class ModelConfig:
    """`config.json` and `generation_config.json`, the parts that serving needs."""

    max_context: int
    """Tokens of prompt and answer together."""
    eos_ids: frozenset[int]
    """Tokens that end an answer; empty where the model names none."""
    vocabulary_size: int | None
    """Token ids are below it; None where the files do not say."""
    is_encoder_decoder: bool
    kv_shape: KVShape | None
    """None where the files do not say."""
    architecture: str = ""


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; {} where the file does not exist.

    Raises:
        Unsupported: The file is not a JSON object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Unsupported(f"The file {str(path)!r} cannot be read.", why=f"{error}.") from error
    if not isinstance(found, dict):
        raise Unsupported(f"The file {str(path)!r} holds no JSON object.")
    return found


def read_config(folder: Path) -> ModelConfig:
    """The configuration of the model in a folder.

    Raises:
        Unsupported: A file is damaged.
    """
    config = read_json(folder / "config.json")
    generation = read_json(folder / "generation_config.json")
    # Models that also see or hear keep the language model's numbers one level deeper.
    text = config | (config.get("text_config") or {})
    return ModelConfig(
        max_context=next((int(text[key]) for key in _CONTEXT_KEYS if text.get(key)), DEFAULT_CONTEXT),
        eos_ids=_eos_ids(generation) or _eos_ids(text),
        vocabulary_size=text.get("vocab_size"),
        is_encoder_decoder=bool(config.get("is_encoder_decoder")),
        kv_shape=_kv_shape(text),
        architecture=next(iter(config.get("architectures") or ()), ""),
    )


def _eos_ids(config: dict[str, Any]) -> frozenset[int]:
    found = config.get("eos_token_id")
    if found is None:
        return frozenset()
    return frozenset(int(id) for id in (found if isinstance(found, Iterable) else (found,)))


def _kv_shape(config: dict[str, Any]) -> KVShape | None:
    layers = config.get("num_hidden_layers") or config.get("n_layer")
    heads = config.get("num_attention_heads") or config.get("n_head")
    hidden = config.get("hidden_size") or config.get("n_embd")
    if not (layers and heads and hidden):
        return None
    return KVShape(
        layers=int(layers),
        heads=int(config.get("num_key_value_heads") or heads),
        head_size=int(config.get("head_dim") or hidden // heads),
    )
