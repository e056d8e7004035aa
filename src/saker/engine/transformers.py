"""Hugging Face transformers: any causal or encoder-decoder architecture, on any device; the reference for parity.

Each request keeps its own cache of keys and values and is advanced by one token a step: simple, exact, and honouring
every parameter. Where speed matters more, `transformers_batch.py` puts all requests through the model together.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from saker.core.errors import Unsupported
from saker.core.suggest import did_you_mean
from saker.engine.answer import Answer
from saker.engine.base import Engine, EngineOptions
from saker.engine.chat import ChatTemplate
from saker.engine.config import ModelConfig, read_config
from saker.engine.messages import (
    Capabilities,
    Chunk,
    Embedded,
    Failed,
    FinishReason,
    GenerateRequest,
    Ready,
    Sampling,
)
from saker.engine.prompt import PromptBuilder
from saker.engine.text import FastTokenizer, Tokenizer
from saker.engine.transformers_sampling import Sampler

PRECISIONS: dict[str, Any] = {"default": "auto", "bf16": torch.bfloat16, "fp32": torch.float32}
"""The default is what the checkpoint was stored in."""

PARAMETERS = frozenset(Sampling.__struct_fields__) | {"stop", "n", "logprobs", "truncate", "ignore_eos"}


class AutoTokenizer:
    """Whatever tokenizer transformers finds, for models without tokenizer.json."""

    def __init__(self, folder: Path, trust_remote_code: bool) -> None:
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Token ids."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=special)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text, special tokens left out."""
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


@dataclass
class LoadedModel:
    """A model on its device, with what belongs to it."""

    model: Any
    config: ModelConfig
    tokenizer: Tokenizer
    template: ChatTemplate | None
    prompts: PromptBuilder
    max_context: int
    device: str
    precision: str

    def describe(self, parameters: frozenset[str]) -> Ready:
        """The first report."""
        tasks = {"generate", "chat"} if self.template else {"generate"}
        return Ready(
            engine="transformers",
            capabilities=Capabilities(tasks=frozenset(tasks), parameters=parameters),
            max_context=self.max_context,
            detail={
                "device": self.device,
                "precision": str(self.model.dtype).removeprefix("torch."),
                "torch": str(torch.__version__),
                "transformers": transformers.__version__,
            },
        )


def load(options: EngineOptions) -> Engine:
    """The engine for these options: batched on a GPU, request by request elsewhere.

    Raises:
        Unsupported: transformers cannot load the model.
    """
    loaded = load_model(options)
    wants_batching = options.continuous_batching
    if wants_batching is None:
        wants_batching = loaded.device == "cuda" and not loaded.config.is_encoder_decoder
    if wants_batching:
        from saker.engine.transformers_batch import BatchedTransformersEngine

        return BatchedTransformersEngine(loaded, options)
    return TransformersEngine(loaded, options)


def load_model(options: EngineOptions) -> LoadedModel:
    """Load weights (safetensors only) and tokenizer."""
    transformers.utils.logging.disable_progress_bar()  # logs are files
    folder = Path(options.model_path)
    if options.precision not in PRECISIONS:
        raise Unsupported(
            f"There is no precision {options.precision!r}.", fix=did_you_mean(options.precision, PRECISIONS)
        )
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device = _pick_device(options.device)
    config = read_config(folder)
    model = _load_weights(folder, config, options, device)
    tokenizer: Tokenizer
    if (folder / "tokenizer.json").is_file():
        tokenizer = FastTokenizer(folder)
    else:
        tokenizer = AutoTokenizer(folder, options.trust_remote_code)
    template = ChatTemplate.from_folder(folder, options.chat_template)
    max_context = min(options.max_context or config.max_context, config.max_context)
    prompts = PromptBuilder(
        tokenizer, template, max_context, config.vocabulary_size, shares_context=not config.is_encoder_decoder
    )
    return LoadedModel(model, config, tokenizer, template, prompts, max_context, device, options.precision)


def _pick_device(wanted: str) -> str:
    has_cuda = torch.cuda.is_available()
    if wanted == "auto":
        return "cuda" if has_cuda else "cpu"
    if wanted not in ("cpu", "cuda") or (wanted == "cuda" and not has_cuda):
        raise Unsupported(f"There is no device {wanted!r} here.", fix='Use "auto" or "cpu".')
    return wanted


def _load_weights(folder: Path, config: ModelConfig, options: EngineOptions, device: str) -> Any:
    factory = transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
    try:
        model = factory.from_pretrained(
            folder,
            dtype=PRECISIONS[options.precision],
            use_safetensors=True,
            trust_remote_code=options.trust_remote_code,
            local_files_only=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        lines = str(error).strip().splitlines()
        raise Unsupported(
            f"transformers cannot load the model {folder.name!r}.",
            why=f"{type(error).__name__}: {lines[0] if lines else ''}"[:300],
        ) from error
    if device == "cpu" and model.dtype == torch.float16:
        model = model.to(torch.bfloat16)  # processors calculate in bf16 or fp32
    return model.to(device).eval()


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
