"""`saker watermark detect --endpoint`: the platform tells which model's tokenizer cuts the text."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from saker.models.store import EMBEDDED
from support.command_line import Outcome, run_here
from support.live import LivePlatform, deploy, write_fake_model

TEXT = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."


@pytest.fixture
def endpoint(live: LivePlatform, tmp_path: Path) -> Iterator[str]:
    """One that runs a model with a tokenizer."""
    model = write_fake_model(tmp_path / "model")
    shutil.copy(EMBEDDED / "tokenizer.json", model)
    deploy(live.client("sagemaker"), "cli-mark", model, wait=False)
    yield "cli-mark"
    client = live.client("sagemaker")
    client.delete_endpoint(EndpointName="cli-mark")
    client.delete_endpoint_config(EndpointConfigName="cli-mark")
    with suppress(client.exceptions.ClientError):  # a test may have deleted it
        client.delete_model(ModelName="cli-mark")


def detect(live: LivePlatform, *options: object) -> Outcome:
    home = ("--home", live.settings.home, "--port", live.settings.port)
    return run_here("watermark", "detect", *home, "--json", *options, stdin=TEXT)


def test_an_endpoint_stands_for_its_model(live: LivePlatform, endpoint: str) -> None:
    named = detect(live, "--endpoint", endpoint)
    live.client("sagemaker").delete_model(ModelName=endpoint)
    forgotten = detect(live, "--endpoint", endpoint)

    assert named.code == 0, named.err
    assert json.loads(detect(live, "--model", "embedded").out) == json.loads(named.out)
    assert forgotten.code == 1
    assert "is not on record any more" in forgotten.err
    assert "--model" in forgotten.err


def test_a_wrong_endpoint_comes_with_the_nearest(live: LivePlatform, endpoint: str) -> None:
    outcome = detect(live, "--endpoint", "cli-marc")

    assert outcome.code == 1
    assert f"Did you mean {endpoint!r}?" in outcome.err


def test_an_endpoint_of_several_models_must_be_told_which(live: LivePlatform, endpoint: str, tmp_path: Path) -> None:
    client = live.client("sagemaker")
    role, kind = "arn:aws:iam::000000000000:role/r", {"InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    other = {"Environment": {"HF_MODEL_ID": str(write_fake_model(tmp_path / "other"))}}
    client.create_model(ModelName="cli-mark-other", PrimaryContainer=other, ExecutionRoleArn=role)
    variants = [{"VariantName": name, "ModelName": name} | kind for name in (endpoint, "cli-mark-other")]
    client.create_endpoint_config(EndpointConfigName="cli-mark-both", ProductionVariants=variants)
    client.create_endpoint(EndpointName="cli-mark-both", EndpointConfigName="cli-mark-both")
    outcome = detect(live, "--endpoint", "cli-mark-both")
    client.delete_endpoint(EndpointName="cli-mark-both")
    client.delete_endpoint_config(EndpointConfigName="cli-mark-both")
    client.delete_model(ModelName="cli-mark-other")

    assert outcome.code == 1
    assert "runs 2 models" in outcome.err
