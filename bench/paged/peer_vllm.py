"""vLLM's tokens per second; runs in the environment "vllm", where nothing of ours is.

python -P bench/paged/peer_vllm.py CHECKPOINT ROUNDS CLIENTS,…
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from typing import Any

TOKENS = 128
"""Of each prompt, and of each answer."""
VOCABULARY = 32_000


def main() -> None:
    """Answer so many prompts at once, and print the medians."""
    from vllm import LLM, SamplingParams  # type: ignore[import-not-found]  # it is in its own environment alone

    rounds, clients = int(sys.argv[2]), [int(count) for count in sys.argv[3].split(",")]
    engine = LLM(model=sys.argv[1], dtype="bfloat16", max_model_len=1024, skip_tokenizer_init=True)
    greedy = SamplingParams(temperature=0.0, max_tokens=TOKENS, ignore_eos=True, detokenize=False)
    _seconds(engine, greedy, 8, "warm up")
    found = {}
    for count in clients:
        times = [_seconds(engine, greedy, count, f"{count} {of}") for of in range(rounds)]
        found[count] = count * TOKENS / statistics.median(times)
    print(json.dumps(found), flush=True)


def _seconds(engine: Any, sampling: Any, count: int, seed: str) -> float:
    draw = random.Random(seed)
    prompts = [{"prompt_token_ids": [draw.randrange(1, VOCABULARY) for _ in range(TOKENS)]} for _ in range(count)]
    begin = time.perf_counter()
    answers = engine.generate(prompts, sampling, use_tqdm=False)
    took = time.perf_counter() - begin
    assert all(len(answer.outputs[0].token_ids) == TOKENS for answer in answers)
    return took


if __name__ == "__main__":
    main()
