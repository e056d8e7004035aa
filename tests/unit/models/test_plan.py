from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from saker.core.errors import InvalidInput, Unsupported
from saker.models.base import Preparation
from saker.models.check import Checkpoint
from saker.models.plan import choose_plan
from saker.models.source import ModelSource
from support.checkpoints import CONFIG

SOURCE = ModelSource("folder", "/m")


def safetensors(**config: Any) -> Checkpoint:
    return Checkpoint(Path("/m"), "safetensors", {}, dict(CONFIG) | config)


def test_a_known_decoder_is_converted_for_the_cpu_engine() -> None:
    plan = choose_plan(safetensors(), Preparation(SOURCE))

    assert ("paged", True) == (plan.engine, plan.convert)
    assert "int8" in plan.notes[0]


@pytest.mark.parametrize("model_type", ["mamba", "olmo3"])
def test_what_openvino_lacks_goes_to_transformers_and_says_so(model_type: str) -> None:
    plan = choose_plan(safetensors(model_type=model_type), Preparation(SOURCE))

    assert ("transformers", False) == (plan.engine, plan.convert)
    assert f"OpenVINO does not know '{model_type}'" in plan.notes[0]


def test_an_encoder_decoder_goes_to_transformers() -> None:
    config = {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}

    assert "transformers" == choose_plan(safetensors(**config), Preparation(SOURCE)).engine


def test_the_engine_that_was_asked_for_is_taken() -> None:
    plan = choose_plan(safetensors(), Preparation(SOURCE, engine="transformers"))

    assert ("transformers", False) == (plan.engine, plan.convert)
    assert "'int8' does not apply" in plan.notes[0]


@pytest.mark.parametrize("engine", ["paged", "genai"])
def test_both_engines_of_openvino_take_what_is_converted_and_what_is_ready(engine: Any) -> None:
    request = Preparation(SOURCE, engine=engine)

    converted = choose_plan(safetensors(), request)
    ready = choose_plan(Checkpoint(Path("/m"), "openvino", {}), request)

    assert (engine, True) == (converted.engine, converted.convert)
    assert (engine, False) == (ready.engine, ready.convert)


def test_the_paged_engine_takes_no_gguf() -> None:
    request = Preparation(SOURCE, engine="paged")

    with pytest.raises(Unsupported, match="SAKER_ENGINE=genai"):
        choose_plan(Checkpoint(Path("/m"), "gguf", {}), request)


def test_an_engine_that_cannot_names_one_that_can() -> None:
    with pytest.raises(Unsupported, match="SAKER_ENGINE=transformers"):
        choose_plan(safetensors(model_type="olmo3"), Preparation(SOURCE, engine="genai"))


@pytest.mark.parametrize(("format", "engine"), [("openvino", "paged"), ("gguf", "genai")])
def test_what_is_ready_made_is_used_as_it_is(format: Any, engine: str) -> None:
    plan = choose_plan(Checkpoint(Path("/m"), format, {}), Preparation(SOURCE))

    assert (engine, False) == (plan.engine, plan.convert)
    with pytest.raises(Unsupported, match=f"SAKER_ENGINE={engine}"):
        choose_plan(Checkpoint(Path("/m"), format, {}), Preparation(SOURCE, engine="transformers"))


def test_words_that_are_no_engine_or_format_are_refused() -> None:
    with pytest.raises(InvalidInput, match="Did you mean 'genai'"):
        Preparation(SOURCE, engine="gena")  # type: ignore[arg-type]  # the wrong word is the test
    with pytest.raises(InvalidInput, match="Did you mean 'int8'"):
        Preparation(SOURCE, weight_format="in8")  # type: ignore[arg-type]  # the wrong word is the test


def test_a_token_does_not_show() -> None:
    from saker.settings import Secret

    assert "hf_x" not in repr(Preparation(SOURCE, hub_token=Secret("hf_x")))
