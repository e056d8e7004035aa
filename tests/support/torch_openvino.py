"""Runs in the torch engine environment: tiny random checkpoints of many architectures, and what transformers answers.

    python torch_openvino.py OUT TOKENIZER_FOLDER NAME …

Writes OUT/NAME/openvino (32-bit weights) and OUT/NAME/answers.json: prompts and answers as token ids, and the log
probability of each token of the prompts but the first.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from optimum.intel import OVModelForCausalLM

NEW_TOKENS = 60
PENALTY = 1.3
"""Random weights repeat themselves; with a repetition penalty answers vary, so that equal ones mean something."""
PROMPT_LENGTHS = (5, 33, 100, 257)
WINDOW = 40
"""Shorter than most prompts, so that a sliding window shows."""

_TOKENS = {"vocab_size": 512, "bos_token_id": 1, "eos_token_id": 2}
_LLAMA = _TOKENS | {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
}
LONG = "llama_long"
"""A Llama with a long context and, unlike the others, few and long prompts."""
LONG_PROMPT_LENGTHS = (4000, 16000)
LONG_CONTEXT = 16384

_GPT = _TOKENS | {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512}
# With tied embeddings falcon and bloom would repeat one token for ever, whatever the penalty.
_OWN: dict[str, dict[str, Any]] = {
    "mistral": {"sliding_window": WINDOW},
    "qwen3": {"head_dim": 16},
    "phi": {"num_key_value_heads": 4},
    "phi3": {"num_key_value_heads": 4},
    "falcon": {"multi_query": True, "alibi": False, "tie_word_embeddings": False},
    "opt": {"ffn_dim": 128, "word_embed_proj_dim": 64},
    "codegen": {"rotary_dim": 8},
    "gptj": {"rotary_dim": 8},
    "granite": {"logits_scaling": 2.0},
    "cohere": {"logit_scale": 0.5},
    "starcoder2": {"sliding_window": WINDOW},
    "bloom": {"hidden_size": 64, "n_layer": 2, "n_head": 4, "tie_word_embeddings": False},
    LONG: {"max_position_embeddings": LONG_CONTEXT},
}


def main() -> None:
    """Make everything for the named architectures."""
    out, tokenizer = map(Path, sys.argv[1:3])
    for name in sys.argv[3:]:
        prompts = [make_prompt(length) for length in (LONG_PROMPT_LENGTHS if name == LONG else PROMPT_LENGTHS)]
        folder = out / name
        model = make_model(name)
        model.save_pretrained(folder / "checkpoint")
        exported = OVModelForCausalLM.from_pretrained(
            folder / "checkpoint", export=True, compile=False, load_in_8bit=False
        )
        exported.save_pretrained(folder / "openvino")
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(tokenizer / file, folder / "openvino")
        answers = [generate(model, prompt) for prompt in prompts]
        logprobs = [score(model, prompt) for prompt in prompts]
        (folder / "answers.json").write_text(json.dumps([prompts, answers, logprobs]))


def make_prompt(length: int) -> list[int]:
    """Random tokens."""
    draw = random.Random(length)
    return [1, *(draw.randrange(3, 512) for _ in range(length - 1))]


def make_model(name: str) -> transformers.PreTrainedModel:
    """A model with weights that make it prefer some tokens clearly."""
    base = _GPT if name in ("gpt2", "gpt_bigcode", "codegen", "gptj") else _TOKENS if name == "bloom" else _LLAMA
    config = transformers.AutoConfig.for_model(name.removesuffix("_long"), **base | _OWN.get(name, {}))
    torch.manual_seed(0)
    attention = "sdpa" if name == LONG else "eager"  # which would hold a whole square of 16,000 tokens
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attention).float().eval()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.normal_(0, 0.15)
    return model


def generate(model: transformers.PreTrainedModel, prompt: list[int]) -> list[int]:
    """Greedy tokens after the prompt."""
    output = model.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        repetition_penalty=PENALTY,
        eos_token_id=None,
        pad_token_id=0,
    )
    found: list[int] = output[0, len(prompt) :].tolist()
    return found


def score(model: transformers.PreTrainedModel, prompt: list[int]) -> list[float]:
    """The log probability of each token but the first, after all that come before it."""
    with torch.no_grad():
        logprobs = model(torch.tensor([prompt])).logits[0, :-1].log_softmax(-1)
    found: list[float] = logprobs.gather(1, torch.tensor(prompt[1:])[:, None])[:, 0].tolist()
    return found


if __name__ == "__main__":
    main()
