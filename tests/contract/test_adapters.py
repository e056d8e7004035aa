"""In fp32, requests with LoRA adapters give the tokens that transformers gives with each adapter merged in."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from saker.engine.base import EngineOptions
from saker.engine.messages import AdapterDone, Command, Failed, GenerateRequest, LoadAdapter, Sampling, UnloadAdapter
from support.environment import ROOT, torch_python
from support.workers import WorkerProcess

pytestmark = [pytest.mark.real, pytest.mark.torch]

# every way in which exporters spell a linear layer: linear, matmul (falcon), addmm (gpt2)
ARCHITECTURES = ("llama", "mistral", "gpt_neox", "falcon", "gpt2")
ADAPTERS = ("", "wide", "narrow")
PENALTY = 1.3
NEW_TOKENS = 60


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models and adapters, made in one process because importing the libraries takes longest."""
    folder = tmp_path_factory.mktemp("adapters")
    tests = ROOT / "tests"
    embedded = ROOT / "src" / "saker" / "models" / "embedded"
    subprocess.run(
        [torch_python(), "-P", tests / "support" / "torch_adapters.py", folder, embedded, *ARCHITECTURES],
        check=True,
        capture_output=True,
        timeout=900,
        env=os.environ | {"PYTHONPATH": str(tests)},
    )
    return folder


@pytest.fixture(params=ARCHITECTURES)
def model(models: Path, request: pytest.FixtureRequest) -> Path:
    """One of them."""
    return models / str(request.param)


@pytest.fixture
def worker(model: Path) -> Iterator[WorkerProcess]:
    """The adapter "wide" is there from the start."""
    options = EngineOptions(
        str(model / "openvino"),
        precision="fp32",
        kv_cache_bytes=64 << 20,
        adapters={"wide": str(model / "wide")},
        adapter_bytes=1 << 20,
    )
    with WorkerProcess("paged", options) as made:
        made.ready()
        yield made


def order(worker: WorkerProcess, command: Command) -> AdapterDone | Failed:
    """Send a command about adapters; what comes of it."""
    worker.send(command)
    report = worker.receive()
    assert isinstance(report, AdapterDone | Failed), report
    assert report.id == command.id
    return report


def ask(worker: WorkerProcess, asked: list[tuple[str, list[int]]]) -> list[list[int]]:
    """The tokens after each prompt under each adapter, all at once."""
    requests = [
        GenerateRequest(
            tokens=tuple(prompt),
            max_new_tokens=NEW_TOKENS,
            sampling=Sampling(repetition_penalty=PENALTY),
            ignore_eos=True,
            logprobs=True,
            adapter=adapter,
        )
        for adapter, prompt in asked
    ]
    found = worker.collect({worker.start(request): 1 for request in requests}).values()
    assert not any(isinstance(answers, Failed) for answers in found), found
    return [[token.id for token in answers[0].tokens] for answers in found if isinstance(answers, list)]


def test_adapters_of_one_batch_equal_their_merged_models(model: Path, worker: WorkerProcess) -> None:
    """
    All prompts under all adapters at once, then again under other names, when the prefix cache knows all prompts.
    """
    prompts, answers = json.loads((model / "answers.json").read_text())
    everything = [(adapter, prompt) for prompt in prompts for adapter in ADAPTERS]
    expected = [answers[adapter][place] for place in range(len(prompts)) for adapter in ADAPTERS]
    assert isinstance(order(worker, LoadAdapter(1000, "narrow", str(model / "narrow"))), AdapterDone)

    assert expected == ask(worker, everything)
    assert len({tuple(tokens) for tokens in expected}) == len(expected)  # every adapter changes every answer
    assert min(len(set(tokens)) for tokens in expected) > 20  # no trivial answers

    for id, name in enumerate(("wide", "narrow"), 1001):
        assert isinstance(order(worker, UnloadAdapter(id, name)), AdapterDone)
    for id, (name, folder) in enumerate([("narrow", "wide"), ("wide", "narrow")], 1003):
        assert isinstance(order(worker, LoadAdapter(id, name, str(model / folder))), AdapterDone)
    swapped = {"": "", "wide": "narrow", "narrow": "wide"}
    assert expected == ask(worker, [(swapped[adapter], prompt) for adapter, prompt in everything])


def test_orders_that_cannot_be_met_fail_alone(model: Path, worker: WorkerProcess) -> None:
    prompts, answers = json.loads((model / "answers.json").read_text())
    running = worker.start(GenerateRequest(tokens=tuple(prompts[0]), ignore_eos=True, adapter="wide"))
    wrong: list[tuple[Command, str]] = [
        (LoadAdapter(1000, "wide", str(model / "wide")), "AlreadyExists"),
        (LoadAdapter(1001, "other", str(model / "openvino")), "InvalidInput"),
        (UnloadAdapter(1002, "wide"), "Conflict"),
        (UnloadAdapter(1003, "other"), "NotFound"),
    ]
    for command, error in wrong:
        report = order(worker, command)
        assert isinstance(report, Failed)
        assert error == report.error
    worker.cancel(running)

    assert "NotFound" == worker.ask_failing(GenerateRequest(prompt="a", adapter="other")).error
    assert [answers["wide"][0]] == ask(worker, [("wide", prompts[0])])
