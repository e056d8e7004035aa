"""Estimates what serving a model takes, by plain arithmetic, so that a start that cannot work is refused beforehand.

memory = weights + runtime + keys and values
  weights           bytes of the weights as the engine holds them
  runtime           the engine's process beside the weights, measured (see RUNTIME_BYTES)
  keys and values   2 x layers x key-value heads x head size x 2 bytes, for each token
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saker.models.base import EngineName, MemoryEstimate, WeightFormat
from saker.models.gguf import GgufHeader

KV_BYTES = 2  # of one number; the engines keep 16 bits or fewer unless a deployment asks for fp32

RUNTIME_BYTES: Mapping[EngineName, int] = {
    # Measured with models of 1 MB: 130 and 430 MB resident; the rest is for activations and for larger libraries.
    "genai": 300_000_000,
    "paged": 300_000_000,
    "transformers": 700_000_000,
    "fake": 60_000_000,
}

BYTES_PER_WEIGHT: Mapping[WeightFormat, float] = {
    # int4: 4 bits and one 16-bit scale for 32 weights. int8: the scales of whole rows do not count.
    "int4": 0.5625,
    "int8": 1.0,
    "fp16": 2.0,
    "bf16": 2.0,
    "fp32": 4.0,
}


def estimate(
    engine: EngineName, weights_bytes: int, config: Mapping[str, Any] | None = None, gguf: GgufHeader | None = None
) -> MemoryEstimate:
    """What serving takes, from the weights' bytes and the model's own description."""
    kv_bytes, context = _from_gguf(gguf) if gguf else _from_config(config or {})
    return MemoryEstimate(weights_bytes, kv_bytes, context, RUNTIME_BYTES[engine])


def converted_weights_bytes(parameters: int, weight_format: WeightFormat) -> int:
    """What the weights take after conversion."""
    return int(parameters * BYTES_PER_WEIGHT[weight_format])


def conversion_bytes(source_bytes: int, parameters: int) -> int:
    """Memory that a conversion needs at its peak: the libraries, and the weights several times over.

    Measured for 135 million parameters: 1.17 GB from 16-bit weights, which the export widens, 0.71 GB from 32-bit ones.
    """
    is_narrow = source_bytes < 4 * parameters
    return 600_000_000 + parameters * (6 if is_narrow else 4)


def _from_config(config: Mapping[str, Any]) -> tuple[int, int]:
    layers = _number(config, "num_hidden_layers", "n_layer", "n_layers", "num_layers")
    heads = _number(config, "num_attention_heads", "n_head", "n_heads")
    kv_heads = _number(config, "num_key_value_heads", "multi_query_group_num") or heads
    hidden = _number(config, "hidden_size", "n_embd", "d_model")
    head_size = _number(config, "head_dim") or (hidden // heads if heads else 0)
    context = _number(config, "max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")
    return 2 * layers * kv_heads * head_size * KV_BYTES, context


def _from_gguf(header: GgufHeader) -> tuple[int, int]:
    heads = header.number("attention.head_count")
    kv_heads = header.number("attention.head_count_kv") or heads
    head_size = header.number("attention.key_length") or (header.number("embedding_length") // heads if heads else 0)
    return 2 * header.number("block_count") * kv_heads * head_size * KV_BYTES, header.number("context_length")


def _number(config: Mapping[str, Any], *names: str) -> int:
    """The first of the names that holds a positive whole number; 0 when none does."""
    for name in names:
        value = config.get(name)
        if type(value) is int and value > 0:
            return value
    return 0
