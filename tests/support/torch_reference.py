"""Runs in the torch engine environment: makes models for tests, and what plain transformers answers with them.

    python torch_reference.py CHECKPOINT SENTENCEPIECE_MODEL OUT PROMPTS

Writes OUT/safetensors, OUT/openvino (32-bit weights) and OUT/greedy.json, the greedy tokens of each prompt in a JSON
list.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import torch
import transformers
from optimum.intel import OVModelForCausalLM

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
from make_embedded import build_tokenizer, write_configs

NEW_TOKENS = 200


def main() -> None:
    """Make everything for one checkpoint."""
    checkpoint, pieces, out = map(Path, sys.argv[1:4])
    prompts = json.loads(sys.argv[4])
    tokenizer = build_tokenizer(pieces.read_bytes())
    plain, openvino = out / "safetensors", out / "openvino"
    for folder in (plain, openvino):
        folder.mkdir(parents=True)
    shutil.copy(checkpoint / "model.safetensors", plain)
    shutil.copy(checkpoint / "config.json", plain)
    exported = OVModelForCausalLM.from_pretrained(checkpoint, export=True, compile=False, load_in_8bit=False)
    exported.save_pretrained(openvino)
    for folder in (plain, openvino):
        write_configs(checkpoint, folder)
        tokenizer.save(str(folder / "tokenizer.json"))
    model = transformers.AutoModelForCausalLM.from_pretrained(plain, dtype=torch.float32).eval()
    (out / "greedy.json").write_text(json.dumps([generate(model, tokenizer.encode(text).ids) for text in prompts]))


def generate(model: transformers.PreTrainedModel, ids: list[int]) -> list[int]:
    """Greedy tokens after the prompt, going on past ends of text."""
    output = model.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
    )
    found: list[int] = output[0, len(ids) :].tolist()
    return found


if __name__ == "__main__":
    main()
