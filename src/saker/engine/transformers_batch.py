"""transformers with its continuous batching: all requests go through the model together.

Its manager generates in a thread of its own and draws every token in one way, set when it starts; so this engine is
greedy, and refuses sampling parameters rather than drop them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import transformers

from saker.core.errors import EngineFailure, Unsupported
from saker.engine.answer import Answer
from saker.engine.base import EngineOptions
from saker.engine.memory import BLOCK_TOKENS, kv_blocks
from saker.engine.messages import Chunk, Embedded, Failed, FinishReason, GenerateRequest, Ready
from saker.engine.transformers_load import LoadedModel

PARAMETERS = frozenset({"stop", "n", "logprobs", "truncate", "ignore_eos"})

POLL_S = 0.02
"""How long a step waits for tokens before commands are looked at again."""

CPU_BATCH_TOKENS = 512
"""Tokens to one pass through the model on a CPU; on GPUs the manager decides by their memory."""

NO_EOS = -1
"""What the manager takes for "no token ends the answer"."""


@dataclass(slots=True)
class _Sequence:
    answer: Answer
    eos_ids: frozenset[int]
    taken: int = 0
    """How many of its tokens have been taken."""


class BatchedTransformersEngine:
    """One causal model, all its requests at once."""

    def __init__(self, loaded: LoadedModel, options: EngineOptions) -> None:
        if loaded.config.is_encoder_decoder:
            raise Unsupported(
                "Continuous batching is for models without an encoder.", fix="Deploy without continuous_batching."
            )
        self._loaded = loaded
        self._manager = _start(loaded, options)
        self._running: dict[str, _Sequence] = {}

    def describe(self) -> Ready:
        """Greedy decoding, and what needs no hook into it."""
        return self._loaded.describe(PARAMETERS)

    def submit(self, id: int, request: GenerateRequest) -> None:
        """Take a request in."""
        loaded = self._loaded
        prompt = loaded.prompts.build(request)
        eos_ids = frozenset[int]() if request.ignore_eos else loaded.config.eos_ids
        for index in range(request.n):
            name = f"{id}/{index}"
            answer = Answer(id, index, request, loaded.tokenizer, prompt.ids, None)
            self._running[name] = _Sequence(answer, eos_ids)
            self._manager.add_request(
                prompt.ids,
                request_id=name,
                max_new_tokens=prompt.max_new_tokens,
                streaming=not answer.is_quiet,
                eos_token_id=list(eos_ids) or NO_EOS,
            )

    def embed(self, id: int, inputs: tuple[str, ...]) -> Embedded:
        """Refused: these models generate."""
        raise Unsupported("The model of this endpoint generates text and has no embeddings.")

    def cancel(self, id: int) -> None:
        """Forget a request; the manager drops it before its next pass."""
        for name in [name for name, sequence in self._running.items() if sequence.answer.id == id]:
            self._end(name)

    def has_work(self) -> bool:
        """Whether any request runs."""
        return bool(self._running)

    def step(self) -> list[Chunk | Failed]:
        """What has been generated since the last step; waits a little when that is nothing."""
        if not self._manager.is_running():
            raise EngineFailure("The continuous batching of transformers has ended.", fix="The log says why.")
        produced: list[Chunk | Failed] = []
        output = self._manager.get_result(timeout=POLL_S)
        while output is not None:
            item = self._take(output)
            if item is not None:
                produced.append(item)
            output = self._manager.get_result(timeout=0)
        return produced

    def close(self) -> None:
        """Stop generating and free the model."""
        self._manager.stop(block=True, timeout=10)
        del self._manager, self._loaded

    def _take(self, output: Any) -> Chunk | Failed | None:
        sequence = self._running.get(output.request_id)
        if sequence is None:
            return None  # cancelled meanwhile
        if output.error is not None:
            del self._running[output.request_id]
            return Failed(sequence.answer.id, "EngineFailure", "transformers failed on this request.")
        ids = output.generated_tokens[sequence.taken :]
        logprobs = output.logprobs[sequence.taken : sequence.taken + len(ids)]
        sequence.taken += len(ids)
        reason: FinishReason | None = None
        if output.is_finished():
            reason = "eos_token" if ids and ids[-1] in sequence.eos_ids else "length"
        chunk = sequence.answer.take(ids, logprobs, reason)
        if reason is not None:
            del self._running[output.request_id]
        elif chunk is not None and chunk.finish is not None:
            self._end(output.request_id)  # a stop string
        return chunk

    def _end(self, name: str) -> None:
        del self._running[name]
        self._manager.cancel_request(name)


def _start(loaded: LoadedModel, options: EngineOptions) -> Any:
    generation = transformers.GenerationConfig(do_sample=False, eos_token_id=NO_EOS)
    batching = transformers.ContinuousBatchingConfig(
        return_logprobs=True,
        use_async_batching=False,  # its first batch must not be empty, and a server begins with none
    )
    shape = loaded.config.kv_shape
    if shape is not None and (loaded.device == "cpu" or options.kv_cache_bytes is not None):
        bytes_per_number = torch.finfo(loaded.model.dtype).bits // 8
        most_tokens = (loaded.max_context + BLOCK_TOKENS) * options.max_sequences
        batching.block_size = BLOCK_TOKENS
        batching.num_blocks = kv_blocks(shape, bytes_per_number, options.kv_cache_bytes, most_tokens)
    if loaded.device == "cpu":
        batching.max_batch_tokens = CPU_BATCH_TOKENS
    manager = loaded.model.init_continuous_batching(generation, batching)
    manager.start()
    return manager
