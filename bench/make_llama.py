"""Makes a random-weight Llama of the 135M shape in OpenVINO's format, int8; runs in the torch engine environment.

    PYTHONPATH=src python bench/make_llama.py OUT

Speed does not depend on what the weights are. The tokenizer has one token to a word, and there is no end-of-text
token, so that every answer has the length that was asked for.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers

from saker.models.conversion import convert

VOCABULARY = 49152


def main() -> None:
    """Write the model into the folder that the command line names."""
    out = Path(sys.argv[1])
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch)
        config = _config()
        transformers.LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(source)
        _tokenizer().save(str(source / "tokenizer.json"))
        (source / "generation_config.json").write_text("{}")
        out.mkdir(parents=True)
        shape = {"hidden_size": config.hidden_size, "intermediate_size": config.intermediate_size}
        request = {"source": source, "output": out, "weight_format": "int8", "trust_remote_code": False}
        convert(request | {"config": shape}, _ignore)


def _config() -> transformers.LlamaConfig:
    return transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
    )


def _tokenizer() -> tokenizers.Tokenizer:
    words = {f"w{id}": id for id in range(VOCABULARY)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return tokenizer


def _ignore(*_: Any) -> None:
    """Progress that nobody reads."""


if __name__ == "__main__":
    main()
