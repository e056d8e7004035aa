"""Writes a Llama checkpoint as a GGUF file with 8-bit weights; runs in the environment "llama-cpp".

    python -P bench/paged/gguf_file.py CHECKPOINT TARGET

The rows of the query and key matrices stay as they are, although llama.cpp wants them in another order: it matters to
what a model says and not to how fast, and these models have random weights.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

_LAYER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
_REST = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def main() -> None:
    """Convert the checkpoint; the file has no tokenizer."""
    checkpoint, target = Path(sys.argv[1]), Path(sys.argv[2])
    writer = gguf.GGUFWriter(target, "llama")
    _write_config(writer, json.loads((checkpoint / "config.json").read_text()))
    for name, weights in _weights(checkpoint / "model.safetensors"):
        if weights.ndim == 1:
            writer.add_tensor(_rename(name), weights)
        else:
            packed = gguf.quants.quantize(weights, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(_rename(name), packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _weights(path: Path) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """The file's bfloat16 tensors, which numpy has no type for: the upper halves of float32 numbers.

    Source: https://github.com/huggingface/safetensors (format)
    """
    content = np.fromfile(path, np.uint8)
    start = 8 + int.from_bytes(content[:8].tobytes(), "little")
    for name, entry in json.loads(content[8:start].tobytes()).items():
        if name != "__metadata__":
            begin, end = (start + offset for offset in entry["data_offsets"])
            halves = np.frombuffer(content[begin:end].tobytes(), np.uint16)
            yield name, (halves.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])


def _write_config(writer: Any, config: dict[str, Any]) -> None:
    heads = config["num_attention_heads"]
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["hidden_size"] // heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_tokenizer_model("no_vocab")


def _rename(name: str) -> str:
    stem = name.removesuffix(".weight")
    if stem in _REST:
        return f"{_REST[stem]}.weight"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{_LAYER[part]}.weight"


if __name__ == "__main__":
    main()
