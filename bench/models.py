"""The models that the engine benchmark runs; made once and kept in the cache."""

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

MAKE_S = 900
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
    path = CACHE / "llama-135m"
    if not (path / "openvino_model.xml").exists():
        _make(path)
    words = tuple(f"w{id}" for id in range(1, 40_000))
    return BenchModel("Llama 135M int8", path, words, prompt_words=128, new_tokens=128)


def _make(path: Path) -> None:
    python = torch_python()
    if python is None:
        raise Failed("the torch engine environment is missing; `make engines` makes it")
    work = path.with_name(f"{path.name}.{os.getpid()}")
    env = plain_environment() | {"PYTHONPATH": str(Path(saker.__file__).parents[1])}
    command = [str(python), "-P", str(ROOT / "bench" / "make_llama.py"), str(work)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=MAKE_S, env=env)
    except subprocess.SubprocessError as error:
        shutil.rmtree(work, ignore_errors=True)
        raise Failed(f"the 135M model could not be made: {getattr(error, 'stderr', error)!r:.500}") from error
    work.replace(path)
