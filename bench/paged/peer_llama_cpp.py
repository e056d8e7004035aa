"""llama.cpp's tokens per second, through its C interface; runs in the environment "llama-cpp".

    python -P bench/paged/peer_llama_cpp.py GGUF ROUNDS CLIENTS,…

All prompts are read first, a piece of 512 tokens at a time, then every step draws a token for each sequence; greedily,
by numpy over the logits that the library hands out.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Sequence

import llama_cpp  # type: ignore[import-not-found]  # it is in its own environment alone
import numpy as np

TOKENS = 128
"""Of each prompt, and of each answer."""
VOCABULARY = 32_000
STEP_TOKENS = 512

Place = tuple[int, int, int, bool]
"""A token, its position, its sequence, and whether its logits are wanted."""


class Model:
    """A loaded model with room for so many sequences."""

    def __init__(self, path: str, sequences: int) -> None:
        llama_cpp.llama_backend_init()
        self._model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        options = llama_cpp.llama_context_default_params()
        options.n_ctx = sequences * 2 * 2 * TOKENS
        options.n_seq_max = sequences
        options.n_batch = options.n_ubatch = STEP_TOKENS
        options.n_threads = options.n_threads_batch = len(os.sched_getaffinity(0))
        self._context = llama_cpp.llama_init_from_model(self._model, options)
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))
        self._batch = llama_cpp.llama_batch_init(STEP_TOKENS, 0, 1)

    def forget(self) -> None:
        """Empty the cache."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)

    def step(self, places: Sequence[Place]) -> list[int]:
        """The likeliest next token at each place that wants one."""
        batch = self._batch
        batch.n_tokens = len(places)
        for at, (token, position, sequence, is_wanted) in enumerate(places):
            batch.token[at], batch.pos[at], batch.n_seq_id[at] = token, position, 1
            batch.seq_id[at][0] = sequence
            batch.logits[at] = is_wanted
        if llama_cpp.llama_decode(self._context, batch):
            raise RuntimeError("llama_decode failed")
        return [self._best(at) for at, place in enumerate(places) if place[3]]

    def _best(self, at: int) -> int:
        logits = llama_cpp.llama_get_logits_ith(self._context, at)
        row = ctypes.cast(logits, ctypes.POINTER(ctypes.c_float * self._vocabulary)).contents
        return int(np.ctypeslib.as_array(row).argmax())


def main() -> None:
    """Answer so many prompts at once, and print the medians."""
    path, rounds, clients = sys.argv[1], int(sys.argv[2]), [int(count) for count in sys.argv[3].split(",")]
    found = {}
    for count in clients:
        model = Model(path, count)
        _seconds(model, count, "warm up")
        times = [_seconds(model, count, f"{count} {of}") for of in range(rounds)]
        found[count] = count * TOKENS / statistics.median(times)
    print(json.dumps(found), flush=True)


def _seconds(model: Model, count: int, seed: str) -> float:
    draw = random.Random(seed)
    model.forget()
    prompts = [
        (draw.randrange(1, VOCABULARY), position, sequence, position == TOKENS - 1)
        for sequence in range(count)
        for position in range(TOKENS)
    ]
    begin = time.perf_counter()
    last: list[int] = []
    for start in range(0, len(prompts), STEP_TOKENS):
        last += model.step(prompts[start : start + STEP_TOKENS])
    for position in range(TOKENS, 2 * TOKENS - 1):
        last = model.step([(token, position, sequence, True) for sequence, token in enumerate(last)])
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
