"""The transformers engine runs what others do not: other attention, no attention, an encoder."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from saker.engine.base import EngineOptions
from saker.engine.messages import GenerateRequest
from saker.models.architectures import COMPARED_TRANSFORMERS
from support.environment import ROOT, torch_python
from support.workers import WorkerProcess

pytestmark = [pytest.mark.real, pytest.mark.torch]

ARCHITECTURES = {
    "gemma": "the exporter to OpenVINO refuses it beside this transformers",
    "bloom": "positions by attention bias, older names in its configuration",
    "mistral": "a sliding window shorter than the answer",
    "mamba": "a state in place of keys and values",
    "t5": "an encoder, and relative positions",
}
assert set(ARCHITECTURES) == COMPARED_TRANSFORMERS
PROMPT = (1, 403, 407, 261, 378)
NEW_TOKENS = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("architectures")
    embedded = ROOT / "src" / "saker" / "models" / "embedded"
    done = subprocess.run(
        [torch_python(), "-P", ROOT / "tests" / "support" / "torch_architectures.py", embedded, out, *ARCHITECTURES],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    (out / "greedy.json").write_text(done.stdout)
    (out / "path").mkdir()
    os.symlink(ROOT / "src" / "saker", out / "path" / "saker")
    return out


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_greedy_tokens_are_those_of_transformers(folder: Path, name: str) -> None:
    expected = json.loads((folder / "greedy.json").read_text())[name]
    options = EngineOptions(model_path=str(folder / name), precision="fp32")
    with WorkerProcess("transformers", options, python=torch_python(), only_saker=folder / "path") as worker:
        worker.ready()
        request = GenerateRequest(tokens=PROMPT, max_new_tokens=NEW_TOKENS, ignore_eos=True, logprobs=True)

        assert [token.id for token in worker.ask(request)[0].tokens] == expected


def test_genai_names_the_engine_for_a_model_with_an_encoder(folder: Path) -> None:
    with WorkerProcess("genai", EngineOptions(model_path=str(folder / "t5"))) as worker:
        assert "'transformers'" in worker.unfit().fix
