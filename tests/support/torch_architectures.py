"""Runs in the torch engine environment: makes tiny models of other architectures with random weights.

    python torch_architectures.py EMBEDDED OUT NAME…

Writes OUT/NAME, a model folder with the embedded model's tokenizer, and prints the greedy tokens of plain transformers
as JSON by name.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
import transformers

VOCABULARY = 512
PROMPT = (1, 403, 407, 261, 378)
NEW_TOKENS = 40

_SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}
_SHAPES: dict[str, dict[str, Any]] = {
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "gemma": _SHAPE | {"num_key_value_heads": 2, "head_dim": 8},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128},
    "gpt_neox": _SHAPE,
    "mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8},
    "mistral": _SHAPE | {"num_key_value_heads": 2, "sliding_window": 16},
    "opt": _SHAPE | {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "t5": {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0},
}


def make(name: str, folder: Path) -> Any:
    """A model with weights large enough that its greedy answer is not one token for ever."""
    torch.manual_seed(7)
    config = transformers.AutoConfig.for_model(
        name, vocab_size=VOCABULARY, bos_token_id=1, eos_token_id=2, pad_token_id=0, **_SHAPES[name]
    )
    is_pair = config.is_encoder_decoder
    factory = transformers.AutoModelForSeq2SeqLM if is_pair else transformers.AutoModelForCausalLM
    model = factory.from_config(config).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.4)
    model.tie_weights()
    model.save_pretrained(folder)
    return factory.from_pretrained(folder).eval()


def main() -> None:
    """Make all that were asked for."""
    embedded, out = map(Path, sys.argv[1:3])
    greedy = {}
    for name in sys.argv[3:]:
        model = make(name, out / name)
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(embedded / file, out / name)
        output = model.generate(
            torch.tensor([PROMPT]),
            attention_mask=torch.ones(1, len(PROMPT), dtype=torch.long),
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            num_beams=1,
            eos_token_id=None,
        )
        greedy[name] = output[0, 1 if model.config.is_encoder_decoder else len(PROMPT) :].tolist()
    print(json.dumps(greedy))


if __name__ == "__main__":
    main()
