"""Deploying real models through the whole platform: embedded, from a hub, from a folder that needs conversion."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from support.environment import data, torch_python
from support.hub_server import FakeHub, Repository, serve_hub
from support.live import LivePlatform, deploy, wait_until

pytestmark = pytest.mark.real

EMBEDDED = Path(str(files("saker.models") / "embedded"))
BODY = json.dumps({"inputs": "Once upon a time", "parameters": {"max_new_tokens": 32}})


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    with serve_hub() as running:
        content = {path.name: path.read_bytes() for path in EMBEDDED.iterdir() if path.is_file()}
        running.repositories["OpenVINO/stories"] = Repository(content)
        running.repositories["meta/gated"] = Repository(content, gated_for="hf_right")
        yield running


@pytest.fixture(scope="module")
def live(hub: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePlatform]:
    home = tmp_path_factory.mktemp("home")
    engines = Path(torch_python()).parents[2] if has_torch() else home / "engines"
    with LivePlatform(home, hf_endpoint=hub.url, engines_home=engines) as platform:
        yield platform


def has_torch() -> bool:
    try:
        torch_python()
    except pytest.skip.Exception:
        return False
    return True


def answer(live: LivePlatform, name: str) -> str:
    reply = live.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=BODY)
    return str(json.loads(reply["Body"].read())[0]["generated_text"])


def deploy_id(live: LivePlatform, name: str, model: str, **environment: str) -> Any:
    client = live.client("sagemaker")
    deploy(client, name, Path(model), wait=False, environment={"HF_MODEL_ID": model} | environment)
    return client


def test_a_hub_id_is_fetched_and_served(live: LivePlatform) -> None:
    client = deploy_id(live, "hub", "OpenVINO/stories")

    wait_until(client, "hub", "InService")

    assert answer(live, "hub").startswith(", there was a little girl named Lily.")


def test_what_was_fetched_once_needs_no_hub(live: LivePlatform, hub: FakeHub) -> None:
    wait_until(deploy_id(live, "again", "OpenVINO/stories"), "again", "InService")
    before = len(hub.requests)

    wait_until(deploy_id(live, "third", "OpenVINO/stories"), "third", "InService")

    assert before == len(hub.requests)


def test_a_gated_model_fails_with_what_to_do_and_opens_with_the_right_token(live: LivePlatform) -> None:
    client = deploy_id(live, "gated", "meta/gated")
    reason = wait_until(client, "gated", "Failed")["FailureReason"]

    opened = wait_until(deploy_id(live, "opened", "meta/gated", HF_TOKEN="hf_right"), "opened", "InService")

    assert "HF_TOKEN" in reason
    assert opened["EndpointStatus"] == "InService"


def test_a_hub_id_that_does_not_exist_is_named(live: LivePlatform) -> None:
    client = deploy_id(live, "absent", "nobody/nothing")

    assert "nobody/nothing" in wait_until(client, "absent", "Failed")["FailureReason"]


def test_our_own_engine_serves_where_it_is_asked_for(live: LivePlatform) -> None:
    """With what the others refuse: a watermark, and the likeliest tokens at each place."""
    client = deploy_id(live, "paged", "embedded", SAKER_ENGINE="paged")
    wait_until(client, "paged", "InService")
    runtime = live.client("sagemaker-runtime")
    marked = json.dumps({"inputs": "Once upon a time", "parameters": {"watermark": True, "max_new_tokens": 8}})

    text = json.loads(runtime.invoke_endpoint(EndpointName="paged", Body=marked)["Body"].read())[0]["generated_text"]

    assert answer(live, "paged").startswith(", there was a little girl named Lily.")
    assert text


@pytest.mark.torch
@pytest.mark.parametrize("engine", ["genai", "paged", "transformers"])
def test_a_folder_of_safetensors_answers_as_transformers_does(live: LivePlatform, tmp_path: Path, engine: str) -> None:
    """In fp32 both engines give the story that SOURCE.txt of the weights quotes from llama2.c's greedy sample."""
    torch_python()
    weights = data("tiny_llm_weights") / "stories260K.hf"
    folder = tmp_path / "stories"
    shutil.copytree(weights, folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(EMBEDDED / name, folder)
    client = live.client("sagemaker")
    exact = {"SAKER_ENGINE": engine, "SAKER_PRECISION": "fp32", "SAKER_WEIGHT_FORMAT": "fp32"}

    deploy(client, f"story-{engine}", folder, wait=False, environment=exact)
    wait_until(client, f"story-{engine}", "InService", seconds=180)

    assert answer(live, f"story-{engine}").startswith(
        ", there was a little girl named Lily. She loved to play outside in the park. One day,"
    )
