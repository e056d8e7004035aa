"""The engine: loads a model, and makes answers in the making of the requests that come in."""

from __future__ import annotations

import itertools
import random
import secrets
from pathlib import Path

import openvino

from saker.core.errors import InvalidInput, Unsupported
from saker.core.suggest import did_you_mean
from saker.engine.answer import Answer
from saker.engine.base import EngineOptions
from saker.engine.chat import ChatTemplate
from saker.engine.config import ModelConfig, read_config
from saker.engine.memory import BLOCK_TOKENS, blocks_that_fit
from saker.engine.messages import Capabilities, Chunk, Embedded, Failed, GenerateRequest, Ready, Sampling
from saker.engine.paged.adapters import Adapter, Adapters
from saker.engine.paged.batch import Batch
from saker.engine.paged.blocks import BlockPool
from saker.engine.paged.compile import PRECISIONS, compile_paged
from saker.engine.paged.generation import Generation
from saker.engine.paged.grammar import Grammars
from saker.engine.paged.logits import changes_for
from saker.engine.paged.loop import Loop
from saker.engine.paged.report import Logprobs
from saker.engine.paged.runner import Runner
from saker.engine.paged.sample import Chooser, Sampler
from saker.engine.paged.schedule import Limits
from saker.engine.paged.watermark import Watermark
from saker.engine.prompt import Prompt, PromptBuilder
from saker.engine.text import FastTokenizer

PARAMETERS = frozenset(Sampling.__struct_fields__) | {
    *("stop", "n", "logprobs", "truncate", "ignore_eos"),
    *("logit_bias", "watermark", "top_logprobs", "priority", "deadline_s", "best_of", "prompt_logprobs"),
    *("grammar", "adapter"),
}

STEP_TOKENS = 512
"""Of one step, over all sequences. More reads prompts faster, fewer let the others' tokens come more evenly."""


class PagedEngine:
    """A decoder-only model in OpenVINO's format."""

    def __init__(self, options: EngineOptions) -> None:
        folder = Path(options.model_path)
        config = read_config(folder)
        _check(options, config)
        model = compile_paged(folder, options.precision, options.threads, adapters=options.adapter_bytes > 0)
        wanted_context = min(options.max_context or config.max_context, config.max_context)
        most_tokens = (wanted_context + BLOCK_TOKENS) * options.max_sequences
        self._pool = BlockPool(blocks_that_fit(model.block_bytes, options.kv_cache_bytes, most_tokens))
        self._max_context = min(wanted_context, self._pool.count * BLOCK_TOKENS)
        limits = Limits(max(STEP_TOKENS, options.max_sequences), options.max_sequences)
        runner = Runner(model, self._pool.count, limits.tokens, options.max_sequences, self._max_context)
        self._tokenizer = FastTokenizer(folder)
        sampler = Sampler(model.vocabulary_size, options.threads)
        self._loop = Loop(Batch(self._pool, limits), runner, sampler, Logprobs(self._tokenizer, sampler))
        self._watermark = Watermark(model.vocabulary_size)
        self._grammars = Grammars(folder, model.vocabulary_size, config.eos_ids)
        self._template = ChatTemplate.from_folder(folder, options.chat_template)
        self._prompts = PromptBuilder(self._tokenizer, self._template, self._max_context, model.vocabulary_size)
        self._vocabulary_size = model.vocabulary_size
        self._eos_ids = config.eos_ids
        self._precision = options.precision
        self._speculation = options.speculation
        self._arrivals = itertools.count()
        self._adapters = Adapters(model.adaptable, options.adapter_bytes) if model.adaptable else None
        for name, path in options.adapters.items():
            self.load_adapter(name, path)

    def describe(self) -> Ready:
        """Every parameter there is."""
        tasks = {"generate", "chat"} if self._template else {"generate"}
        return Ready(
            engine="paged",
            capabilities=Capabilities(
                tasks=frozenset(tasks), parameters=PARAMETERS if self._adapters else PARAMETERS - {"adapter"}
            ),
            max_context=self._max_context,
            detail={"device": "cpu", "precision": self._precision, "openvino": openvino.get_version()},
        )

    def submit(self, id: int, request: GenerateRequest) -> None:
        """Take a request in."""
        prompt = self._prompts.build(request)
        self._check_biases(request)
        seed = request.sampling.seed
        if seed is None and request.sampling.temperature > 0:
            seed = secrets.randbits(32)
        count = max(request.n, request.best_of)
        adapter = self._held().get(request.adapter) if request.adapter else None
        self._loop.add(id, [self._make(id, index, request, prompt, seed, adapter) for index in range(count)])

    def load_adapter(self, name: str, path: str) -> None:
        """Load a LoRA adapter."""
        self._held().load(name, Path(path))

    def unload_adapter(self, name: str) -> None:
        """Forget a LoRA adapter that no request uses."""
        self._loop.forget(self._held().unload(name, self._loop.count(name)))

    def embed(self, id: int, inputs: tuple[str, ...]) -> Embedded:
        """Refused: these models generate."""
        raise Unsupported("The engine 'paged' has no embeddings.", fix="Deploy with the engine 'transformers'.")

    def cancel(self, id: int) -> None:
        """Forget a request, and free its blocks."""
        self._loop.cancel(id)

    def has_work(self) -> bool:
        """Whether anything runs or waits."""
        return self._loop.has_work()

    def step(self) -> list[Chunk | Failed]:
        """Advance what runs: each answer by a token or more, or by a piece of its prompt."""
        return self._loop.step()

    def close(self) -> None:
        """Free the model."""
        del self._loop

    def _held(self) -> Adapters:
        if self._adapters is None:
            raise Unsupported(
                "This endpoint has no room for adapters.",
                fix="Deploy with LORA_ADAPTERS or SAKER_ADAPTER_BYTES in its environment.",
            )
        return self._adapters

    def _make(
        self, id: int, index: int, request: GenerateRequest, prompt: Prompt, seed: int | None, adapter: Adapter | None
    ) -> Generation:
        return Generation(
            self._pool,
            request,
            prompt.ids,
            prompt.max_new_tokens,
            frozenset() if request.ignore_eos else self._eos_ids,
            Answer(id, index, request, self._tokenizer, prompt.ids, seed),
            self._chooser(request, prompt, (seed or 0) + index),
            next(self._arrivals),
            self._speculation,
            adapter,
        )

    def _chooser(self, request: GenerateRequest, prompt: Prompt, seed: int) -> Chooser:
        changes = changes_for(request, prompt.ids, self._watermark)
        form = self._grammars.change(request.grammar) if request.grammar is not None else None
        if form is not None:
            changes.append(form)  # the last, as nothing may make a forbidden token possible again
        return Chooser(request.sampling, random.Random(seed), changes, form)  # noqa: S311  # draws tokens; guards nothing

    def _check_biases(self, request: GenerateRequest) -> None:
        for token in request.logit_bias:
            if not 0 <= token < self._vocabulary_size:
                raise InvalidInput(
                    f"Parameter 'logit_bias' names the id {token}, which is no token of this model.",
                    why=f"Ids are at least 0 and below {self._vocabulary_size}.",
                )


def _check(options: EngineOptions, config: ModelConfig) -> None:
    if options.precision not in PRECISIONS:
        raise Unsupported(
            f"There is no precision {options.precision!r}.", fix=did_you_mean(options.precision, PRECISIONS)
        )
    if options.device not in ("auto", "cpu"):
        raise Unsupported(
            f"The engine 'paged' runs on the CPU, not on {options.device!r}.",
            fix="Deploy with the engine 'transformers'.",
        )
    if options.model_path.endswith(".gguf"):
        raise Unsupported("The engine 'paged' reads OpenVINO's format.", fix="Deploy with the engine 'genai'.")
    if config.is_encoder_decoder:
        raise Unsupported(
            f"The engine 'paged' runs decoder-only models, and {config.architecture!r} has an encoder.",
            fix="Deploy with the engine 'transformers'.",
        )
