"""The models that the engine benchmarks run; made once and kept in the cache."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import saker
from bench.paths import CACHE, ROOT, torch_python
from bench.processes import Failed, plain_environment
from saker.engine.text import FastTokenizer

MAKE_S = 1800
CONTEXT = 8192
"""Tokens that a random-weight Llama reads at most."""

_WORDS = ("the", "cat", "dog", "bird", "girl", "boy", "big", "red", "happy", "saw", "found", "went", "ran", "and", "to")


@dataclass(frozen=True)
class BenchModel:
    """A model whose answers always have the length that was asked for."""

    name: str
    path: Path
    words: tuple[str, ...]
    """Prompts are made of these."""
    prompt_words: int
    new_tokens: int
    haste: int = 1
    """How many times as many requests a round needs to last some seconds."""

    def prompts(self, count: int, seed: int) -> list[str]:
        """Texts that share no beginning, so that no prefix cache helps."""
        draw = random.Random(seed)
        return [" ".join(draw.choices(self.words, k=self.prompt_words)) for _ in range(count)]

    def encode(self, texts: list[str]) -> list[list[int]]:
        """The texts' token ids."""
        tokenizer = FastTokenizer(self.path)
        return [tokenizer.encode(text, special=True) for text in texts]


@dataclass(frozen=True)
class Shape:
    """A Llama's numbers."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    vocabulary: int
    tied: bool = True
    """Whether the first and the last matrix are one."""

    def config(self) -> dict[str, int | bool]:
        """The same in transformers' words."""
        return {
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "intermediate_size": self.intermediate,
            "vocab_size": self.vocabulary,
            "tie_word_embeddings": self.tied,
            "max_position_embeddings": CONTEXT,
        }


SHAPES = {
    "15m": Shape(288, 6, 6, 6, 768, 32_000),  # llama2.c's stories15M
    "135m": Shape(576, 30, 9, 3, 1536, 49_152),  # SmolLM2-135M
    "1b": Shape(2048, 22, 32, 4, 5632, 32_000, tied=False),  # TinyLlama 1.1B
}


def embedded() -> BenchModel:
    """The model inside the package, without its end-of-text token. The worst case: a step takes it microseconds."""
    path = CACHE / "embedded"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(str(files("saker.models") / "embedded"), path)
    (path / "generation_config.json").unlink()
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"eos_token_id": None}))
    return BenchModel("embedded (260K)", path, _WORDS, prompt_words=24, new_tokens=128, haste=8)


def llama_135m() -> BenchModel:
    """A random-weight Llama with 135M parameters, int8.

    Raises:
        Failed: There is no torch engine environment, or the model could not be made in it.
    """
    words = tuple(f"w{id}" for id in range(1, 40_000))
    return BenchModel("Llama 135M int8", llama("135m", "int8"), words, prompt_words=128, new_tokens=128)


def llama(shape: str, weight_format: str) -> Path:
    """The folder of a random-weight Llama; made where it is not there yet.

    Args:
        weight_format: "int8", "fp16", or "hf" for a bfloat16 checkpoint.

    Raises:
        Failed: There is no torch engine environment, or the model could not be made in it.
    """
    path = CACHE / f"llama-{shape}-{weight_format}"
    if not path.exists():
        _make(path, SHAPES[shape], weight_format)
    return path


def llama_named(name: str) -> tuple[Path, Shape]:
    """The folder of a model by its shape and format, as in "135m-int8", and its numbers; made where it is not there.

    Raises:
        Failed: There is no torch engine environment, or the model could not be made in it.
    """
    shape, _, weight_format = name.partition("-")
    return llama(shape, weight_format), SHAPES[shape]


def _make(path: Path, shape: Shape, weight_format: str) -> None:
    python = torch_python()
    if python is None:
        raise Failed("the torch engine environment is missing; `make engines` makes it")
    work = path.with_name(f"{path.name}.{os.getpid()}")
    work.parent.mkdir(parents=True, exist_ok=True)
    env = plain_environment() | {"PYTHONPATH": str(Path(saker.__file__).parents[1])}
    maker = str(ROOT / "bench" / "make_llama.py")
    command = [str(python), "-P", maker, json.dumps(shape.config()), weight_format, str(work)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=MAKE_S, env=env)
    except subprocess.SubprocessError as error:
        shutil.rmtree(work, ignore_errors=True)
        tail = (getattr(error, "stderr", b"") or b"")[-500:]
        raise Failed(f"the model {path.name} could not be made: {error!r:.200} {tail!r}") from error
    work.replace(path)
