"""In fp32, every engine gives the greedy tokens that plain transformers gives, on checkpoints with real weights."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from saker.engine.base import EngineOptions
from saker.engine.messages import GenerateRequest
from support.environment import ROOT, data, torch_python
from support.workers import WorkerProcess

pytestmark = [pytest.mark.real, pytest.mark.torch]

CHECKPOINTS = {"stories260K": ("stories260K.hf", "tok512.model"), "babyllama": ("babyllama_tok105.hf", "tok105.model")}
PROMPTS = ["Once upon a time", "Lily and Tom went to the park", "The old dog was sad because"]
NEW_TOKENS = 200


@dataclass
class Reference:
    """A checkpoint in two formats, and what transformers says."""

    folder: Path
    greedy: list[list[int]]


@pytest.fixture(scope="module", params=list(CHECKPOINTS))
def reference(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    home = data("tiny_llm_weights")
    checkpoint, pieces = CHECKPOINTS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    script = ROOT / "tests" / "support" / "torch_reference.py"
    subprocess.run(
        [torch_python(), "-P", script, home / checkpoint, home / pieces, folder, json.dumps(PROMPTS)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return Reference(folder, json.loads((folder / "greedy.json").read_text()))


def greedy_tokens(worker: WorkerProcess) -> list[list[int]]:
    """What an engine says to the prompts, all of them at once."""
    requests = [
        GenerateRequest(prompt=text, max_new_tokens=NEW_TOKENS, ignore_eos=True, logprobs=True) for text in PROMPTS
    ]
    worker.ready()
    found = worker.collect({worker.start(request): 1 for request in requests})
    return [[token.id for token in answers[0].tokens] for answers in found.values() if isinstance(answers, list)]


@pytest.mark.parametrize("engine", ["genai", "paged"])
def test_openvino_engines_equal_transformers(reference: Reference, engine: str) -> None:
    options = EngineOptions(model_path=str(reference.folder / "openvino"), precision="fp32")
    with WorkerProcess(engine, options) as worker:
        assert greedy_tokens(worker) == reference.greedy


@pytest.mark.parametrize("batching", [False, True], ids=["one by one", "batched"])
def test_the_transformers_engine_equals_transformers(reference: Reference, tmp_path: Path, batching: bool) -> None:
    os.symlink(ROOT / "src" / "saker", tmp_path / "saker")
    options = EngineOptions(
        model_path=str(reference.folder / "safetensors"), precision="fp32", continuous_batching=batching
    )
    with WorkerProcess("transformers", options, python=torch_python(), only_saker=tmp_path) as worker:
        assert greedy_tokens(worker) == reference.greedy
