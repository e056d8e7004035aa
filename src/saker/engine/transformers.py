"""Hugging Face transformers: any causal or encoder-decoder architecture, on any device; the reference for parity.

Each request keeps its own cache of keys and values and is advanced by one token a step: simple, exact, and honouring
every parameter. Where speed matters more, `transformers_batch.py` puts all requests through the model together.
"""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass
from typing import Any

import torch

from saker.core.errors import Unsupported
from saker.engine.answer import Answer
from saker.engine.base import Engine, EngineOptions
from saker.engine.messages import (
    Chunk,
    Embedded,
    Failed,
    FinishReason,
    GenerateRequest,
    Ready,
    Sampling,
)
from saker.engine.transformers_load import LoadedModel, load_model
from saker.engine.transformers_sampling import Sampler

PARAMETERS = frozenset(Sampling.__struct_fields__) | {"stop", "n", "logprobs", "truncate", "ignore_eos"}


def load(options: EngineOptions) -> Engine:
    """The engine for these options: request by request, or batched where that was asked for.

    Raises:
        Unsupported: transformers cannot load the model.
    """
    loaded = load_model(options)
    if options.continuous_batching:
        from saker.engine.transformers_batch import BatchedTransformersEngine

        return BatchedTransformersEngine(loaded, options)
    return TransformersEngine(loaded, options)


@dataclass(eq=False, slots=True)
class _Sequence:
    """One answer, waiting or running."""

    answer: Answer
    prompt: Any
    """Token ids, shape [1, tokens]."""
    max_new_tokens: int
    eos_ids: frozenset[int]
    sampler: Sampler
    ids: Any
    """What the decoder has seen and said, shape [1, tokens]."""
    pending: Any
    """The part of `ids` that is not in the cache yet."""
    cache: Any = None
    encoded: Any = None
    """The encoder's output, in models that have one."""
    generated: int = 0


class TransformersEngine:
    """One model, one request at a time within each step."""

    def __init__(self, loaded: LoadedModel, options: EngineOptions) -> None:
        self._loaded = loaded
        self._model = loaded.model
        self._max_sequences = options.max_sequences
        self._waiting: deque[_Sequence] = deque()
        self._running: list[_Sequence] = []

    def describe(self) -> Ready:
        """Every parameter is honoured."""
        return self._loaded.describe(PARAMETERS)

    def submit(self, id: int, request: GenerateRequest) -> None:
        """Take a request in."""
        loaded = self._loaded
        built = loaded.prompts.build(request)
        prompt = torch.tensor([built.ids], device=loaded.device)
        seed = request.sampling.seed
        if seed is None and request.sampling.temperature > 0:
            seed = secrets.randbits(32)
        for index in range(request.n):
            answer = Answer(
                id,
                index,
                request,
                loaded.tokenizer,
                built.ids,
                seed,
                continues_prompt=not loaded.config.is_encoder_decoder,
            )
            begin = self._first_ids(prompt)
            sampler = Sampler(request.sampling, (seed or 0) + index, begin.shape[1], self._model)
            eos_ids = frozenset[int]() if request.ignore_eos else loaded.config.eos_ids
            self._waiting.append(
                _Sequence(answer, prompt, built.max_new_tokens, eos_ids, sampler, ids=begin, pending=begin)
            )

    def embed(self, id: int, inputs: tuple[str, ...]) -> Embedded:
        """Refused: these models generate."""
        raise Unsupported("The model of this endpoint generates text and has no embeddings.")

    def cancel(self, id: int) -> None:
        """Forget a request and its cache."""
        self._waiting = deque(sequence for sequence in self._waiting if sequence.answer.id != id)
        self._running = [sequence for sequence in self._running if sequence.answer.id != id]

    def has_work(self) -> bool:
        """Whether anything runs or waits."""
        return bool(self._running or self._waiting)

    def step(self) -> list[Chunk | Failed]:
        """Advance every running answer by one token."""
        with torch.inference_mode():
            return self._step()

    def close(self) -> None:
        """Free the model."""
        del self._model, self._loaded

    def _step(self) -> list[Chunk | Failed]:
        while self._waiting and len(self._running) < self._max_sequences:
            self._running.append(self._waiting.popleft())
        produced: list[Chunk | Failed] = []
        over: list[_Sequence] = []
        for sequence in self._running:
            item = self._advance(sequence)
            if item is None:
                continue
            produced.append(item)
            if isinstance(item, Failed) or item.finish is not None:
                over.append(sequence)
        if over:
            self._running = [sequence for sequence in self._running if sequence not in over]
        return produced

    def _first_ids(self, prompt: Any) -> Any:
        """What the decoder begins with: the prompt, or a start token where an encoder reads the prompt."""
        if not self._loaded.config.is_encoder_decoder:
            return prompt
        generation = self._model.generation_config
        start = generation.decoder_start_token_id
        if start is None:
            start = self._model.config.decoder_start_token_id
        if start is None:
            start = generation.bos_token_id
        return torch.tensor([[start]], device=prompt.device)

    def _advance(self, sequence: _Sequence) -> Chunk | Failed | None:
        try:
            logits = self._forward(sequence)
        except torch.OutOfMemoryError:
            sequence.cache = None
            return Failed(sequence.answer.id, "EngineFailure", "The device has no memory left for this request.")
        token, logprob = sequence.sampler.draw(sequence.ids, logits)
        sequence.generated += 1
        sequence.pending = torch.tensor([[token]], device=sequence.ids.device)
        sequence.ids = torch.cat([sequence.ids, sequence.pending], dim=1)
        reason: FinishReason | None = None
        if token in sequence.eos_ids:
            reason = "eos_token"
        elif sequence.generated >= sequence.max_new_tokens:
            reason = "length"
        return sequence.answer.take([token], [logprob], reason)

    def _forward(self, sequence: _Sequence) -> Any:
        """Logits of the next token, shape [1, vocabulary], in float32."""
        has_encoder = self._loaded.config.is_encoder_decoder
        if has_encoder and sequence.encoded is None:
            sequence.encoded = self._model.get_encoder()(input_ids=sequence.prompt, return_dict=True)
        # Without a cache that grows token by token (some state-space models) all is read again: slow, and as exact.
        ids = sequence.pending if sequence.cache is not None else sequence.ids
        inputs: dict[str, Any] = (
            {"encoder_outputs": sequence.encoded, "decoder_input_ids": ids} if has_encoder else {"input_ids": ids}
        )
        output = self._model(**inputs, past_key_values=sequence.cache, use_cache=True, return_dict=True)
        sequence.cache = getattr(output, "past_key_values", None)
        return output.logits[:, -1, :].to(torch.float32)
