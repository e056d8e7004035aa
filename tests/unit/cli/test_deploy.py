"""What `saker deploy` asks for."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, get_args

import click
import pytest

from saker.cli import deploy
from saker.cli.deploy import make_plan
from saker.cli.deployment import default_name
from saker.core.errors import InvalidInput
from saker.models.base import EngineChoice, WeightFormat
from saker.models.source import ModelSource
from saker.serving.container import MODEL_VARIABLES, PRECISIONS
from support.command_line import run_here


def given(**options: Any) -> dict[str, Any]:
    """The options of a command line that gives only these."""
    nothing = dict.fromkeys(("endpoint", "engine", "weight_format", "precision", "max_context", "revision"))
    rest = {"chat_template": None, "trust_remote_code": False, "variables": (), "count": 1, "instance_type": "t"}
    return nothing | rest | options


def test_the_choices_are_the_servers_own() -> None:
    assert get_args(EngineChoice) == deploy.ENGINES
    assert get_args(WeightFormat) == deploy.WEIGHT_FORMATS
    assert PRECISIONS == deploy.PRECISIONS
    assert set(deploy.VARIABLES.values()) <= set(MODEL_VARIABLES)


def test_a_relative_folder_is_sent_as_an_absolute_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)

    for spelling in ("mine", "./mine", "mine/"):
        assert make_plan(spelling, given()).environment == {"HF_MODEL_ID": str(tmp_path / "mine")}


def test_a_hub_id_is_sent_with_its_revision_apart() -> None:
    plan = make_plan("hf://org/model@v2", given())

    assert plan.environment == {"HF_MODEL_ID": "org/model", "HF_MODEL_REVISION": "v2"}
    assert plan.endpoint == "model"


def test_a_file_of_a_hub_repository_is_sent_with_it() -> None:
    plan = make_plan("org/model/q4.gguf", given())

    assert plan.environment["HF_MODEL_ID"] == "org/model/q4.gguf"
    assert plan.endpoint == "q4"


def test_options_become_variables_of_the_container() -> None:
    plan = make_plan(
        "embedded",
        given(
            engine="genai",
            weight_format="fp32",
            max_context=512,
            trust_remote_code=True,
            chat_template=io.StringIO("{{ x }}"),
            variables=("SAKER_THREADS=2", "HF_TOKEN=a=b"),
        ),
    )

    assert plan.environment == {
        "HF_MODEL_ID": "embedded",
        "SAKER_ENGINE": "genai",
        "SAKER_WEIGHT_FORMAT": "fp32",
        "MAX_TOTAL_TOKENS": "512",
        "SAKER_TRUST_REMOTE_CODE": "1",
        "SAKER_CHAT_TEMPLATE": "{{ x }}",
        "SAKER_THREADS": "2",
        "HF_TOKEN": "a=b",
    }


@pytest.mark.parametrize("variable", ["NAME", "=value", ""])
def test_a_variable_without_name_or_value_is_misuse(variable: str) -> None:
    with pytest.raises(click.BadParameter):
        make_plan("embedded", given(variables=(variable,)))


def test_a_path_that_does_not_exist_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        make_plan(str(tmp_path / "nothing"), given())

    assert "does not exist" in caught.value.why


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("HuggingFaceTB/SmolLM2-360M-Instruct", "smollm2-360m-instruct"),
        ("embedded", "embedded"),
        ("/models/My_Model.v2", "my-model-v2"),
        ("/models/q4.gguf", "q4"),
        ("/models/日本", "model"),
        ("/" + "x" * 100, "x" * 63),
        ("/" + "x" * 62 + ".y", "x" * 62),
    ],
)
def test_an_endpoint_without_a_name_is_named_after_its_model(model: str, name: str) -> None:
    assert name == default_name(ModelSource.parse(model))


def test_without_a_platform_the_error_says_how_to_start_one(tmp_path: Path) -> None:
    outcome = run_here("deploy", "embedded", "--home", tmp_path)

    assert outcome.code == 1
    assert "saker up" in outcome.err
