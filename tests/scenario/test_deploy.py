"""Deploying real models through the whole platform: embedded, from a hub, from a folder that needs conversion."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.environment import data, torch_python
from support.hub_server import FakeHub, Repository, serve_hub
from support.live import LivePlatform, deploy, wait_until
from support.openai_http import send

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


@pytest.fixture(scope="module")
def own(live: LivePlatform) -> str:
    """An endpoint that named no engine; it gets our own."""
    client = deploy_id(live, "own", "embedded")
    wait_until(client, "own", "InService")
    return "own"


def ask(live: LivePlatform, endpoint: str, **parameters: Any) -> Any:
    """The answer of TGI's JSON, with its details."""
    body = {"inputs": "Once upon a time", "parameters": {"max_new_tokens": 8, "details": True} | parameters}
    response = live.client("sagemaker-runtime").invoke_endpoint(EndpointName=endpoint, Body=json.dumps(body))
    return json.loads(response["Body"].read())[0]


def test_our_own_engine_serves_where_none_is_asked_for(live: LivePlatform, own: str) -> None:
    assert answer(live, own).startswith(", there was a little girl named Lily.")
    assert ask(live, own, typical_p=0.9, watermark=True, do_sample=True)["generated_text"]


def test_a_form_is_kept_in_both_dialects(live: LivePlatform, own: str) -> None:
    age = {"type": "integer", "minimum": 0, "maximum": 99}
    schema = {"type": "object", "properties": {"age": age}, "required": ["age"]}
    closed = schema | {"additionalProperties": False}
    asked = {"type": "json_schema", "json_schema": {"name": "age", "schema": closed}}

    for grammar in ({"type": "json", "value": closed}, {"type": "json_schema", "value": {"schema": closed}}):
        text = ask(live, own, grammar=grammar, max_new_tokens=60)["generated_text"]
        assert isinstance(json.loads(text)["age"], int)
    assert ask(live, own, grammar={"type": "regex", "value": "(yes|no)"})["generated_text"] in ("yes", "no")
    chat = {"model": own, "messages": [{"role": "user", "content": "Age?"}], "max_tokens": 60, "response_format": asked}
    status, said = send(live, "/v1/chat/completions", chat)
    assert 200 == status
    assert isinstance(json.loads(said["choices"][0]["message"]["content"])["age"], int)


def test_the_best_of_several_answers_comes_first_with_the_others_behind(live: LivePlatform, own: str) -> None:
    best = ask(live, own, best_of=3, do_sample=True, seed=4)
    others = best["details"]["best_of_sequences"]

    def mean(details: Any) -> float:
        return float(sum(token["logprob"] for token in details["tokens"]) / len(details["tokens"]))

    assert 2 == len(others)
    assert mean(best["details"]) >= mean(others[0]) >= mean(others[1])
    assert best["generated_text"] == ask(live, own, best_of=3, do_sample=True, seed=4, details=False)["generated_text"]


def test_prompts_and_likeliest_tokens_are_told(live: LivePlatform, own: str) -> None:
    details = ask(live, own, decoder_input_details=True, top_n_tokens=3)["details"]

    assert [None] == [token["logprob"] for token in details["prefill"][:1]]
    assert all(token["logprob"] <= 0 for token in details["prefill"][1:])
    assert [3] * 8 == [len(likely) for likely in details["top_tokens"]]
    assert [likely[0]["id"] for likely in details["top_tokens"]] == [token["id"] for token in details["tokens"]]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"best_of": 2}, "do_sample"),
        ({"grammar": {"type": "json", "value": 3}}, "grammar"),
        ({"grammar": {"type": "regex", "value": "("}}, "grammar"),
        ({"grammar": {"type": "yaml", "value": "a"}}, "yaml"),
        ({"adapter_id": "mine"}, "LORA_ADAPTERS"),
        ({"top_n_tokens": 30}, "between 0 and 20"),
    ],
)
def test_what_cannot_be_honoured_is_refused(
    live: LivePlatform, own: str, parameters: dict[str, Any], words: str
) -> None:
    with pytest.raises(ClientError, match=words):
        ask(live, own, **parameters)


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
