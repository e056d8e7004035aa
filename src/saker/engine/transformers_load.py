"""Loads a model with transformers: weights from safetensors only, on the best device there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from saker.core.errors import Unsupported
from saker.core.suggest import did_you_mean
from saker.engine.base import EngineOptions
from saker.engine.chat import ChatTemplate
from saker.engine.config import ModelConfig, read_config
from saker.engine.messages import Capabilities, Ready
from saker.engine.prompt import PromptBuilder
from saker.engine.text import FastTokenizer, Tokenizer

PRECISIONS: dict[str, Any] = {"default": "auto", "bf16": torch.bfloat16, "fp32": torch.float32}
"""The default is what the checkpoint was stored in."""


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
