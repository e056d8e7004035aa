"""In fp32, both OpenVINO engines give the tokens that transformers gives, architecture by architecture."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from saker.engine.base import EngineOptions
from saker.engine.messages import GenerateRequest, Sampling
from saker.models.architectures import COMPARED_OPENVINO
from support.environment import ROOT, torch_python
from support.workers import WorkerProcess

pytestmark = [pytest.mark.real, pytest.mark.torch]

ARCHITECTURES = sorted(COMPARED_OPENVINO)
LONG = "llama_long"
"""Prompts of 4,000 and 16,000 tokens."""
PENALTY = 1.3
NEW_TOKENS = 60
TOLERANCE = 2e-3
"""Of log probabilities in fp32: both sides add thousands of numbers, in another order."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models of every architecture, made in one process because importing the libraries takes longest."""
    folder = tmp_path_factory.mktemp("architectures")
    script = ROOT / "tests" / "support" / "torch_openvino.py"
    subprocess.run(
        [torch_python(), "-P", script, folder, ROOT / "src" / "saker" / "models" / "embedded", *ARCHITECTURES, LONG],
        check=True,
        capture_output=True,
        timeout=900,
    )
    return folder


@pytest.mark.parametrize("engine", ["paged", "genai"])
@pytest.mark.parametrize("architecture", [*ARCHITECTURES, LONG])
def test_the_engine_equals_transformers(models: Path, architecture: str, engine: str) -> None:
    prompts, expected, _ = json.loads((models / architecture / "answers.json").read_text())
    requests = [
        GenerateRequest(
            tokens=tuple(prompt),
            max_new_tokens=NEW_TOKENS,
            sampling=Sampling(repetition_penalty=PENALTY),
            ignore_eos=True,
            logprobs=True,
        )
        for prompt in prompts
    ]
    options = EngineOptions(str(models / architecture / "openvino"), precision="fp32", kv_cache_bytes=64 << 20)
    with WorkerProcess(engine, options) as worker:
        worker.ready()
        found = worker.collect({worker.start(request): 1 for request in requests})

    assert expected == [
        [token.id for token in answers[0].tokens] for answers in found.values() if isinstance(answers, list)
    ]
    assert min(len(set(answer)) for answer in expected) > 20  # no trivial answers


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, LONG])
def test_prompts_are_as_likely_as_with_transformers(models: Path, architecture: str) -> None:
    """
    The logits at every place of a prompt, teacher-forced: also of those that were read in pieces.
    """
    prompts, _, expected = json.loads((models / architecture / "answers.json").read_text())
    requests = [GenerateRequest(tokens=tuple(prompt), max_new_tokens=1, prompt_logprobs=True) for prompt in prompts]
    options = EngineOptions(str(models / architecture / "openvino"), precision="fp32", kv_cache_bytes=64 << 20)
    with WorkerProcess("paged", options) as worker:
        worker.ready()
        found = [worker.ask(request)[0].prompt for request in requests]

    for logprobs, tokens in zip(expected, found, strict=True):
        assert logprobs == pytest.approx([token.logprob for token in tokens[1:]], abs=TOLERANCE)
