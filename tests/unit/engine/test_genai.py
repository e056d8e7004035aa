"""What the contract cannot say about OpenVINO GenAI's engine, with the model that ships inside the package."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from saker.engine.base import EngineOptions
from saker.engine.messages import Chunk, Failed, GenerateRequest

pytestmark = pytest.mark.real


def test_a_model_without_an_end_of_text_token_answers_at_full_length(tmp_path: Path) -> None:
    genai = pytest.importorskip("saker.engine.genai")
    folder = tmp_path / "model"
    shutil.copytree(str(files("saker.models") / "embedded"), folder)
    (folder / "generation_config.json").unlink()
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"eos_token_id": 2', '"eos_token_id": null'))
    engine = genai.GenAIEngine(EngineOptions(model_path=str(folder)))

    engine.submit(1, GenerateRequest(prompt="The cat", max_new_tokens=400))
    produced: list[Chunk | Failed] = []
    while engine.has_work():
        produced += engine.step()

    (chunk,) = produced
    assert isinstance(chunk, Chunk)
    assert chunk.finish is not None
    assert ("length", 400) == (chunk.finish.reason, chunk.finish.generated_tokens)
