"""OpenVINO GenAI's continuous batching: the engine for CPUs.

It gets token ids and gives token ids; tokenizing, chat templates, stop strings and text are Saker's own, so that all
engines agree on them. Each of a request's `n` answers is a sequence of its own: the pipeline reports several sequences
of one request only when all are over, and its prefix cache spares reading the prompt again.
"""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino_genai

from saker.core.errors import Unsupported
from saker.engine.answer import Answer
from saker.engine.base import EngineOptions
from saker.engine.chat import ChatTemplate
from saker.engine.config import read_config
from saker.engine.genai_load import check_options, last_line, load_pipeline, schedule
from saker.engine.messages import Capabilities, Chunk, Embedded, Failed, FinishReason, GenerateRequest, Ready, Sampling
from saker.engine.prompt import PromptBuilder

PARAMETERS = frozenset(
    {name for name in Sampling.__struct_fields__ if name != "typical_p"}
    | {"stop", "n", "logprobs", "truncate", "ignore_eos"}
)

_LARGEST_MIN_P = 0.999999
"""The pipeline wants it below 1."""
_NO_TOKEN = 2**31 - 1
"""An id that no vocabulary has; stands for the end of text where a model names none."""

_RUNNING = openvino_genai.GenerationStatus.RUNNING
_IGNORED = openvino_genai.GenerationStatus.IGNORED


@dataclass(slots=True)
class _Sequence:
    """One answer, waiting or running."""

    answer: Answer
    prompt: Any
    """Token ids as a tensor of shape [1, tokens]."""
    config: Any
    max_new_tokens: int
    eos_ids: frozenset[int]
    """Empty where the request ignores them."""
    wants_logprobs: bool
    handle: Any = None
    """Set while it runs."""
    generated: int = 0

    def advance(self) -> Chunk | Failed | None:
        """What the last step added."""
        handle = self.handle
        if self.answer.is_quiet and handle.get_status() == _RUNNING:
            return None
        if not handle.can_read():
            return self._fail() if handle.get_status() == _IGNORED else None
        output = handle.read_all()[0] if self.answer.is_quiet else handle.read()[0]
        ids = output.generated_ids
        self.generated += len(ids)
        logprobs = output.generated_log_probs if self.wants_logprobs else ()
        return self.answer.take(ids, logprobs, self._reason(ids))

    def _reason(self, ids: list[int]) -> FinishReason | None:
        """Why the answer ends with these tokens; worked out here because asking the pipeline takes longer."""
        if ids and ids[-1] in self.eos_ids:
            return "eos_token"
        return "length" if self.generated >= self.max_new_tokens else None

    def _fail(self) -> Failed:
        return Failed(
            self.answer.id,
            "EngineFailure",
            "The engine had no room left for this request.",
            fix="Raise the KV cache's size (kv_cache_bytes), or send fewer requests at once.",
        )


class GenAIEngine:
    """A decoder-only model in OpenVINO's format, or a GGUF file."""

    def __init__(self, options: EngineOptions) -> None:
        self._path = Path(options.model_path)
        self._precision = options.precision
        check_options(options)
        folder = self._path.parent if self._path.suffix == ".gguf" else self._path
        config = read_config(folder)
        if config.is_encoder_decoder:
            raise Unsupported(
                f"The engine 'genai' runs decoder-only models, and {config.architecture!r} has an encoder.",
                fix="Deploy with the engine 'transformers'.",
            )
        max_context = min(options.max_context or config.max_context, config.max_context)
        scheduler, capacity = schedule(config, options, max_context)
        self._max_context = min(max_context, capacity)
        self._pipeline, self._tokenizer = load_pipeline(self._path, folder, scheduler, options)
        self._template = ChatTemplate.from_folder(folder, options.chat_template)
        self._eos_ids = config.eos_ids
        self._prompts = PromptBuilder(self._tokenizer, self._template, self._max_context, config.vocabulary_size)
        self._max_sequences = options.max_sequences
        self._waiting: deque[_Sequence] = deque()
        self._running: list[_Sequence] = []
        self._next_id = 0

    def describe(self) -> Ready:
        """All sampling parameters but typical_p, for which the pipeline has no hook."""
        tasks = {"generate", "chat"} if self._template else {"generate"}
        return Ready(
            engine="genai",
            capabilities=Capabilities(tasks=frozenset(tasks), parameters=PARAMETERS),
            max_context=self._max_context,
            detail={
                "device": "cpu",
                "precision": self._precision,
                "openvino": openvino.get_version(),
                "openvino_genai": openvino_genai.get_version(),
            },
        )

    def submit(self, id: int, request: GenerateRequest) -> None:
        """Take a request in."""
        prompt = self._prompts.build(request)
        tensor = openvino.Tensor(np.array([prompt.ids], dtype=np.int64))
        seed = request.sampling.seed
        if seed is None and request.sampling.temperature > 0:
            seed = secrets.randbits(32)
        eos_ids = frozenset[int]() if request.ignore_eos else self._eos_ids
        for index in range(request.n):
            self._waiting.append(
                _Sequence(
                    answer=Answer(id, index, request, self._tokenizer, prompt.ids, seed),
                    prompt=tensor,
                    config=_generation_config(request, prompt.max_new_tokens, eos_ids, (seed or 0) + index),
                    max_new_tokens=prompt.max_new_tokens,
                    eos_ids=eos_ids,
                    wants_logprobs=request.logprobs,
                )
            )

    def embed(self, id: int, inputs: tuple[str, ...]) -> Embedded:
        """Refused: these models generate."""
        raise Unsupported("The engine 'genai' has no embeddings.", fix="Deploy with the engine 'transformers'.")

    def cancel(self, id: int) -> None:
        """Forget a request; the pipeline frees its blocks in the next step."""
        self._waiting = deque(sequence for sequence in self._waiting if sequence.answer.id != id)
        for sequence in self._running:
            if sequence.answer.id == id:
                sequence.handle.cancel()
        self._running = [sequence for sequence in self._running if sequence.answer.id != id]

    def has_work(self) -> bool:
        """Whether anything runs or waits."""
        return bool(self._running or self._waiting)

    def step(self) -> list[Chunk | Failed]:
        """Advance every running sequence by one token, or part of its prompt."""
        produced: list[Chunk | Failed] = self._admit()
        self._pipeline.step()
        over: list[_Sequence] = []
        for sequence in self._running:
            item = sequence.advance()
            if item is None:
                continue
            produced.append(item)
            if isinstance(item, Failed) or item.finish is not None:
                over.append(sequence)
        if over:
            self._remove(over)
        return produced

    def close(self) -> None:
        """Free the model."""
        del self._pipeline

    def _admit(self) -> list[Chunk | Failed]:
        """Start waiting sequences while there is room; the pipeline's own limit fails where it splits prompts."""
        refused: list[Chunk | Failed] = []
        while self._waiting and len(self._running) < self._max_sequences:
            sequence = self._waiting.popleft()
            try:
                sequence.handle = self._pipeline.add_request(self._next_id, sequence.prompt, sequence.config)
            except RuntimeError as error:
                id = sequence.answer.id
                self.cancel(id)  # its other answers
                refused.append(Failed(id, "EngineFailure", f"OpenVINO GenAI refuses the request: {last_line(error)}"))
                continue
            self._next_id += 1
            self._running.append(sequence)
        return refused

    def _remove(self, over: list[_Sequence]) -> None:
        for sequence in over:
            sequence.handle.cancel()  # a stop string ends an answer that the pipeline would go on with
        gone = set(map(id, over))
        self._running = [sequence for sequence in self._running if id(sequence) not in gone]


def _generation_config(request: GenerateRequest, max_new_tokens: int, eos_ids: frozenset[int], seed: int) -> Any:
    sampling = request.sampling
    config = openvino_genai.GenerationConfig()
    config.max_new_tokens = max_new_tokens
    config.ignore_eos = request.ignore_eos
    config.stop_token_ids = eos_ids or {_NO_TOKEN}
    config.eos_token_id = min(config.stop_token_ids)  # without one the pipeline would put in -1 and refuse it
    if request.logprobs:
        config.logprobs = 1
    config.repetition_penalty = sampling.repetition_penalty
    config.frequency_penalty = sampling.frequency_penalty
    config.presence_penalty = sampling.presence_penalty
    if sampling.temperature > 0:
        config.do_sample = True
        config.temperature = sampling.temperature
        config.top_p = sampling.top_p
        config.min_p = min(sampling.min_p, _LARGEST_MIN_P)
        config.rng_seed = seed % 2**32
        if sampling.top_k:
            config.top_k = sampling.top_k
    return config
