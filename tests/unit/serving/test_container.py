"""A container's environment: read strictly, with every wrong word named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saker.core.errors import InvalidInput
from saker.serving.base import Container
from saker.serving.container import MODEL_VARIABLES, ModelPlan, read_container, unknown_variables
from saker.settings import Secret, Settings

DEFAULTS = Settings()


def read(environment: dict[str, str] | None = None, settings: Settings = DEFAULTS, model_data: str = "") -> ModelPlan:
    named = {"HF_MODEL_ID": "acme/tiny"} | (environment or {})
    return read_container(Container(environment=named, model_data=model_data), settings)


def test_a_model_id_is_enough() -> None:
    assert read() == ModelPlan(
        source="acme/tiny",
        revision=None,
        token="",
        engine="auto",
        weight_format="int8",
        precision="default",
        max_context=None,
        threads=None,
        kv_cache_bytes=None,
        max_sequences=None,
        continuous_batching=False,
        speculation=0,
        adapters={},
        adapter_bytes=0,
        chat_template=None,
        trust_remote_code=False,
    )


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("HF_MODEL_ID", "acme/other", "source", "acme/other"),
        ("HF_MODEL_REVISION", "v2", "revision", "v2"),
        ("HF_TOKEN", "hf_x", "token", "hf_x"),
        ("HUGGING_FACE_HUB_TOKEN", "hf_y", "token", "hf_y"),
        ("MAX_TOTAL_TOKENS", "2048", "max_context", 2048),
        ("SAKER_ENGINE", "transformers", "engine", "transformers"),
        ("SAKER_WEIGHT_FORMAT", "bf16", "weight_format", "bf16"),
        ("SAKER_PRECISION", "fp32", "precision", "fp32"),
        ("SAKER_THREADS", "3", "threads", 3),
        ("SAKER_KV_CACHE_BYTES", "1073741824", "kv_cache_bytes", 1 << 30),
        ("SAKER_MAX_SEQUENCES", "7", "max_sequences", 7),
        ("SAKER_CONTINUOUS_BATCHING", "1", "continuous_batching", True),
        ("SAKER_CHAT_TEMPLATE", "{{ messages }}", "chat_template", "{{ messages }}"),
        ("SAKER_TRUST_REMOTE_CODE", "1", "trust_remote_code", True),
        ("SAKER_TRUST_REMOTE_CODE", "true", "trust_remote_code", True),
        ("LORA_ADAPTERS", "a=/m/a, b=/m/b", "adapters", {"a": "/m/a", "b": "/m/b"}),
        ("LORA_ADAPTERS", "a=/m/a", "adapter_bytes", 256 * 1024**2),
        ("SAKER_ADAPTER_BYTES", "1000", "adapter_bytes", 1000),
        ("SAKER_SPECULATION", "8", "speculation", 8),
        ("SAKER_SPECULATION", "0", "speculation", 0),
        ("SAKER_TRUST_REMOTE_CODE", "0", "trust_remote_code", False),
        ("HF_TASK", "text-generation", "source", "acme/tiny"),  # accepted, changes nothing
        ("SAKER_STRICT_ENV", "warn", "source", "acme/tiny"),
    ],
)
def test_every_variable_reaches_the_plan(variable: str, value: str, field: str, expected: Any) -> None:
    assert expected == getattr(read({variable: value}), field)


def test_every_variable_is_tested_above() -> None:
    mark = test_every_variable_reaches_the_plan.pytestmark[0]

    assert set(MODEL_VARIABLES) == {row[0] for row in mark.args[1]}


@pytest.mark.parametrize("variable", [name for name in MODEL_VARIABLES if name != "HF_MODEL_ID"])
def test_an_empty_variable_is_as_good_as_none(variable: str) -> None:
    assert read() == read({variable: ""})


def test_the_newer_name_of_the_token_wins_over_the_older_and_both_over_the_settings() -> None:
    settings = Settings(hf_token=Secret("ours"))

    assert read(settings=settings).token == "ours"
    assert read({"HUGGING_FACE_HUB_TOKEN": "old"}, settings).token == "old"
    assert read({"HUGGING_FACE_HUB_TOKEN": "old", "HF_TOKEN": "new"}, settings).token == "new"


def test_what_is_left_open_comes_from_the_settings() -> None:
    plan = read(settings=Settings(engine="genai", weight_format="int4", precision="fp32"))

    assert (plan.engine, plan.weight_format, plan.precision) == ("genai", "int4", "fp32")


def test_model_data_names_the_model_where_the_environment_does_not() -> None:
    assert read_container(Container(model_data="/models/mine"), DEFAULTS).source == "/models/mine"
    assert read(model_data="/models/mine").source == "acme/tiny"


def test_a_container_without_a_model_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"names no model\. Set HF_MODEL_ID"):
        read_container(Container(image="tgi"), DEFAULTS)


# Unknown variables


@pytest.mark.parametrize(
    ("typo", "right"),
    [
        ("MAX_TOTEL_TOKENS", "MAX_TOTAL_TOKENS"),
        ("HF_MODEL", "HF_MODEL_ID"),
        ("SAKER_THREAD", "SAKER_THREADS"),
        ("saker_engine", "SAKER_ENGINE"),
        ("HF_MODEL_REVISON", "HF_MODEL_REVISION"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_right_name(typo: str, right: str) -> None:
    with pytest.raises(InvalidInput, match=f"'{typo}'.*Did you mean '{right}'"):
        read({typo: "1"})


def test_the_value_of_an_unknown_variable_is_not_shown() -> None:
    with pytest.raises(InvalidInput) as caught:
        read({"MY_PASSWORD": "hunter2"})

    assert "hunter2" not in str(caught.value)


def test_unknown_variables_pass_when_asked_to_warn() -> None:
    assert read() == read({"MAX_TOTEL_TOKENS": "5", "SAKER_STRICT_ENV": "warn"})


def test_unknown_variables_are_named_for_the_warning() -> None:
    assert unknown_variables({"HF_MODEL_ID": "a", "Z": "", "B": ""}) == ["B", "Z"]


@pytest.mark.parametrize("value", ["off", "WARN", "0", ""])
def test_no_other_word_makes_it_lenient(value: str) -> None:
    with pytest.raises(InvalidInput):
        read({"MAX_TOTEL_TOKENS": "5", "SAKER_STRICT_ENV": value})


# Values


@pytest.mark.parametrize(
    "variable", ["MAX_TOTAL_TOKENS", "SAKER_THREADS", "SAKER_KV_CACHE_BYTES", "SAKER_MAX_SEQUENCES"]
)
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many", " 1", "١", "²", "1_000", "9" * 19, "9" * 5000])
def test_a_count_that_is_none_is_refused(variable: str, value: str) -> None:
    with pytest.raises(InvalidInput, match=rf"{variable} is .*whole number, at least 1"):
        read({variable: value})


def test_room_that_was_asked_for_wins_over_the_room_for_named_adapters() -> None:
    assert 1000 == read({"LORA_ADAPTERS": "a=/m/a", "SAKER_ADAPTER_BYTES": "1000"}).adapter_bytes


@pytest.mark.parametrize("value", ["a", "=b", "a=", "a=/x,a=/y"])
def test_adapters_without_a_name_or_a_folder_or_with_one_name_are_refused(value: str) -> None:
    with pytest.raises(InvalidInput, match="LORA_ADAPTERS"):
        read({"LORA_ADAPTERS": value})


def test_nothing_is_guessed_unless_asked_for() -> None:
    assert 0 == read().speculation


@pytest.mark.parametrize(
    ("variable", "value", "advice"),
    [
        ("SAKER_SPECULATION", "-1", "whole number, at least 0"),
        ("SAKER_ENGINE", "genia", "Did you mean 'genai'?"),
        ("SAKER_WEIGHT_FORMAT", "int3", "Did you mean 'int"),
        ("SAKER_PRECISION", "double", "Known: default, fp32."),
        ("HF_TASK", "text-genertion", "Did you mean 'text-generation'?"),
        ("SAKER_TRUST_REMOTE_CODE", "yes", "Known: 0, 1, false, true."),  # must not read as off, nor as on
    ],
)
def test_a_word_outside_the_allowed_ones_is_refused_with_advice(variable: str, value: str, advice: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read({variable: value})

    assert caught.value.what == f"{variable} is {value!r}."
    assert advice in caught.value.fix


@given(st.dictionaries(st.sampled_from([*MODEL_VARIABLES, "UNKNOWN"]), st.text(max_size=20)))
def test_any_environment_is_read_or_refused(environment: dict[str, str]) -> None:
    try:
        plan = read_container(Container(environment=environment), DEFAULTS)
    except InvalidInput:
        return

    assert plan.source
