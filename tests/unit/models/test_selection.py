from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from saker.core.errors import InvalidInput, NotFound, Unsupported
from saker.models.selection import Selection, select_files

LLAMA = {"model_type": "llama"}
SMALL = dict.fromkeys(("config.json", "tokenizer.json", "README.md", "LICENSE"), 10)
SAFE = SMALL | {"model.safetensors": 100, "pytorch_model.bin": 100, "onnx/model.onnx": 9, "modeling.py": 5}
IR = SMALL | {"openvino_model.xml": 5, "openvino_model.bin": 50}
GGUFS = dict.fromkeys(("m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-q5_k_m.gguf", "m-f16.gguf", "m-00001-of-00002.gguf"), 50)


def select(sizes: Mapping[str, int], config: Mapping[str, Any] | None = LLAMA, **options: Any) -> Selection:
    return select_files("ada/m", sizes, config, **({"engine": "auto", "weight_format": "int8"} | options))


def test_only_what_serving_needs_is_taken() -> None:
    assert {"config.json", "tokenizer.json", "LICENSE", "model.safetensors"} == set(select(SAFE).files)


def test_python_files_come_only_when_they_are_trusted() -> None:
    assert "modeling.py" in select(SAFE, trust_remote_code=True).files


def test_shards_come_with_their_index() -> None:
    shards = {"model.safetensors.index.json": 5, "model-00001-of-00002.safetensors": 9, "other.safetensors": 9}

    files = select(SMALL | shards).files

    assert {"model.safetensors.index.json", "model-00001-of-00002.safetensors"} < set(files)
    assert "other.safetensors" not in files


def test_openvino_ir_comes_before_safetensors_except_for_transformers() -> None:
    assert "openvino" == select(SAFE | IR).format
    assert "model.safetensors" not in select(SAFE | IR).files
    assert "safetensors" == select(SAFE | IR, engine="transformers").format


@pytest.mark.parametrize(
    ("weight_format", "expected"), [("int8", "m-Q8_0.gguf"), ("int4", "m-Q4_K_M.gguf"), ("fp16", "m-f16.gguf")]
)
def test_the_gguf_file_nearest_to_the_format_is_taken(weight_format: str, expected: str) -> None:
    selection = select(GGUFS, None, weight_format=weight_format)

    assert ("gguf", (expected,)) == (selection.format, selection.files)
    assert expected in selection.notes[0]


def test_a_gguf_file_that_is_named_is_taken() -> None:
    assert ("m-q5_k_m.gguf",) == select(GGUFS, None, file="m-q5_k_m.gguf").files


def test_a_gguf_file_that_is_misspelt_is_corrected() -> None:
    with pytest.raises(NotFound, match=r"Did you mean 'm-Q8_0\.gguf'"):
        select(GGUFS, None, file="m-Q8_O.gguf")
    with pytest.raises(InvalidInput, match="holds no GGUF files"):
        select(SAFE, file="m.gguf")


@pytest.mark.parametrize(("config", "more"), [({"model_type": "gemma"}, {}), (LLAMA, {"tokenizer.model": 5})])
def test_gguf_files_that_would_be_refused_are_passed_over(config: dict[str, str], more: dict[str, int]) -> None:
    assert "safetensors" == select(SAFE | GGUFS | more, config).format


def test_readable_gguf_files_come_before_a_conversion() -> None:
    assert "gguf" == select(SAFE | GGUFS).format


def test_gguf_files_of_unreadable_types_only_are_refused() -> None:
    with pytest.raises(Unsupported, match=r"None of the GGUF files of 'ada/m'"):
        select({"m-Q5_K_M.gguf": 1, "m-IQ4_XS.gguf": 1}, None)


def test_a_repository_of_pickles_is_refused_before_the_download() -> None:
    with pytest.raises(InvalidInput, match="pickled Python objects"):
        select(SMALL | {"pytorch_model.bin": 100})


def test_a_repository_without_config_or_tokenizer_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"'config\.json' is missing"):
        select({"model.safetensors": 1}, None)
    with pytest.raises(InvalidInput, match="no tokenizer"):
        select({"config.json": 1, "model.safetensors": 1})
