"""Makes a random-weight Llama in OpenVINO's format, or as a checkpoint; runs in the torch engine environment.

    PYTHONPATH=src python bench/make_llama.py SHAPE FORMAT OUT

SHAPE is the architecture's numbers as JSON, FORMAT int8, fp16 or hf (a bfloat16 checkpoint, not converted). Speed does
not depend on what the weights are. The tokenizer has one token to a word, and there is no end-of-text token, so that
every answer has the length that was asked for.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers

from saker.models.conversion import convert


def main() -> None:
    """Write the model into the folder that the command line names."""
    shape, weight_format, out = json.loads(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    torch.manual_seed(0)
    config = transformers.LlamaConfig(bos_token_id=None, eos_token_id=None, **shape)
    if weight_format == "hf":
        _write_checkpoint(config, out)
        return
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        source = Path(scratch)
        _write_checkpoint(config, source)
        out.mkdir(parents=True)
        request = {"source": source, "output": out, "weight_format": weight_format, "trust_remote_code": False}
        convert(request | {"config": shape}, _ignore)


def _write_checkpoint(config: transformers.LlamaConfig, folder: Path) -> None:
    torch.set_default_dtype(torch.bfloat16)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    torch.set_default_dtype(torch.float32)
    _tokenizer(config.vocab_size).save(str(folder / "tokenizer.json"))
    (folder / "generation_config.json").write_text("{}")


def _tokenizer(vocabulary: int) -> tokenizers.Tokenizer:
    words = {f"w{id}": id for id in range(vocabulary)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return tokenizer


def _ignore(*_: Any) -> None:
    """Progress that nobody reads."""


if __name__ == "__main__":
    main()
