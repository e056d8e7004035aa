"""Runs in the torch engine environment: tiny random models, LoRA adapters for them, and what the merged models answer.

    PYTHONPATH=tests python torch_adapters.py OUT TOKENIZER_FOLDER NAME …

Writes OUT/NAME/openvino (32-bit weights), OUT/NAME/wide and OUT/NAME/narrow (adapters in PEFT's format) and
OUT/NAME/answers.json: the prompts, and the answers as token ids under "", "wide" and "narrow". The merged weights are
PEFT's definition: W + alpha / rank * B @ A, written out here, as this environment holds no PEFT.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from optimum.intel import OVModelForCausalLM
from safetensors.torch import save_file
from transformers.pytorch_utils import Conv1D

from support.torch_openvino import generate, make_model, make_prompt

PROMPT_LENGTHS = (5, 33, 100)

ADAPTERS: dict[str, dict[str, Any]] = {
    # every linear layer
    "wide": {"r": 8, "lora_alpha": 16},
    # attention only, and the second layer otherwise than the first
    "narrow": {
        "r": 4,
        "lora_alpha": 6,
        "use_rslora": True,
        "rank_pattern": {r"\.1\.": 2},
        "alpha_pattern": {},
    },
}


def main() -> None:
    """Make everything for the named architectures."""
    out, tokenizer = map(Path, sys.argv[1:3])
    prompts = [make_prompt(length) for length in PROMPT_LENGTHS]
    for name in sys.argv[3:]:
        folder = out / name
        model = make_model(name)
        model.save_pretrained(folder / "checkpoint")
        exported = OVModelForCausalLM.from_pretrained(
            folder / "checkpoint", export=True, compile=False, load_in_8bit=False
        )
        exported.save_pretrained(folder / "openvino")
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(tokenizer / file, folder / "openvino")
        answers = {"": [generate(model, prompt) for prompt in prompts]}
        for adapter, config in ADAPTERS.items():
            merged = merge(model, folder / adapter, adapter, dict(config))
            answers[adapter] = [generate(merged, prompt) for prompt in prompts]
        (folder / "answers.json").write_text(json.dumps([prompts, answers]))


def merge(
    model: transformers.PreTrainedModel, folder: Path, name: str, config: dict[str, Any]
) -> transformers.PreTrainedModel:
    """Write an adapter; returns the model with it inside."""
    merged = type(model)(model.config).float().eval()
    merged.load_state_dict(model.state_dict())
    head = model.get_output_embeddings()
    torch.manual_seed(len(name))
    tensors: dict[str, torch.Tensor] = {}
    number = torch.bfloat16 if name == "narrow" else torch.float32
    for module, layer in model.named_modules():
        if layer is head or not isinstance(layer, torch.nn.Linear | Conv1D):
            continue
        if name == "narrow" and "att" not in module:
            continue
        rank = 2 if name == "narrow" and ".1." in module else config["r"]
        alpha = config["lora_alpha"]
        if name == "narrow" and ".1." in module:
            alpha = config["alpha_pattern"][module] = 3.0
        is_conv = isinstance(layer, Conv1D)
        outputs, inputs = layer.weight.T.shape if is_conv else layer.weight.shape
        down = torch.empty(rank, inputs).normal_(0, 0.15).to(number)
        up = torch.empty(outputs, rank).normal_(0, 0.12).to(number)
        tensors[f"base_model.model.{module}.lora_A.weight"] = down
        tensors[f"base_model.model.{module}.lora_B.weight"] = up
        scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
        change = scale * (up.float() @ down.float())
        with torch.no_grad():
            merged.get_submodule(module).weight += change.T if is_conv else change
    folder.mkdir()
    whole = {"peft_type": "LORA", "bias": "none", "init_lora_weights": True} | config
    (folder / "adapter_config.json").write_text(json.dumps(whole))
    save_file(tensors, folder / "adapter_model.safetensors")
    return merged


if __name__ == "__main__":
    main()
