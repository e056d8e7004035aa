from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saker.core.errors import InvalidInput, Unsupported
from saker.models.gguf import check_readable, read_header
from saker.models.gguf_folder import write_gguf_folder
from support.checkpoints import gguf_bytes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf_bytes())
    return path


def test_a_header_tells_architecture_types_and_vocabulary(file: Path) -> None:
    header = read_header(file)

    assert "llama" == header.architecture
    assert {"F16"} == header.types  # the norm has one dimension and does not count
    assert ("<unk>", "<s>", "</s>", "a") == header.tokens
    assert 320 == header.elements
    check_readable("m.gguf", header)


@pytest.mark.parametrize("kept", [0, 3, 4, 20, 100, -1])
def test_a_file_that_was_cut_short_is_refused(file: Path, kept: int) -> None:
    file.write_bytes(file.read_bytes()[:kept])

    with pytest.raises(InvalidInput, match=r"'m\.gguf' is cut short or damaged"):
        read_header(file)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"general.architecture": "gemma"}, "architecture is 'gemma'; readable are llama, qwen2, qwen3"),
        ({"tokenizer.ggml.model": "llama"}, "tokenizer is of kind 'llama'"),
        ({"llama.rope.scaling.type": "yarn"}, "RoPE scaling"),
        ({"general.file_type": None}, "metadata lacks 'general.file_type'"),
        ({"tokenizer.ggml.merges": None, "llama.block_count": 0}, "'tokenizer.ggml.merges', 'llama.block_count'"),
        ({"split.count": 3}, "one part of a file"),
    ],
)
def test_what_the_engine_would_misread_is_refused(file: Path, metadata: dict[str, Any], says: str) -> None:
    file.write_bytes(gguf_bytes(metadata))

    with pytest.raises(Unsupported, match=says):
        check_readable("m.gguf", read_header(file))


@pytest.mark.parametrize(("number", "name"), [(0, "F32"), (30, "BF16"), (6, "Q5_0"), (13, "Q5_K"), (39, "MXFP4")])
def test_tensor_types_that_the_engine_lacks_are_named(file: Path, number: int, name: str) -> None:
    file.write_bytes(gguf_bytes(tensors={"token_embd.weight": ((256, 2), number)}))

    with pytest.raises(Unsupported, match=f"tensors of type {name};"):
        check_readable("m.gguf", read_header(file))


def test_scaled_frequencies_are_refused(file: Path) -> None:
    file.write_bytes(gguf_bytes(tensors={"rope_freqs.weight": ((32,), 0)}))

    with pytest.raises(Unsupported, match="RoPE scaling"):
        check_readable("m.gguf", read_header(file))


def test_the_folder_around_a_file_tells_engines_the_rest(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()

    write_gguf_folder(file, read_header(file), folder)

    config = json.loads((folder / "config.json").read_text())
    assert (128, 4, 2) == (config["max_position_embeddings"], config["vocab_size"], config["num_key_value_heads"])
    assert {"eos_token_id": [2]} == json.loads((folder / "generation_config.json").read_text())
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    assert {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "chat_template": "{{ messages[0].content }}",
    } == tokenizer
    assert file.read_bytes() == (folder / "model.gguf").read_bytes()


@given(st.binary(max_size=200), st.integers(0, 300))
def test_any_bytes_give_a_header_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, start: int
) -> None:
    whole = gguf_bytes()
    path = tmp_path_factory.getbasetemp() / "any.gguf"
    path.write_bytes(whole[:start] + noise + whole[start + len(noise) :])
    try:
        read_header(path)
    except InvalidInput:
        return
