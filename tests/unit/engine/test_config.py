"""What a model's JSON files say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from saker.core.errors import Unsupported
from saker.engine.config import DEFAULT_CONTEXT, KVShape, read_config
from support.environment import ROOT


def folder(path: Path, config: Mapping[str, object], generation: Mapping[str, object] | None = None) -> Path:
    (path / "config.json").write_text(json.dumps(config))
    if generation is not None:
        (path / "generation_config.json").write_text(json.dumps(generation))
    return path


def test_the_embedded_model() -> None:
    config = read_config(ROOT / "src" / "saker" / "models" / "embedded")

    assert config.max_context == 512
    assert config.eos_ids == {1, 2}
    assert config.vocabulary_size == 512
    assert config.kv_shape == KVShape(layers=5, heads=4, head_size=8)
    assert not config.is_encoder_decoder
    assert config.architecture == "LlamaForCausalLM"


@pytest.mark.parametrize("key", ["max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx"])
def test_the_context_has_many_names(tmp_path: Path, key: str) -> None:
    assert read_config(folder(tmp_path, {key: 77})).max_context == 77


def test_a_model_without_a_limit_gets_the_default(tmp_path: Path) -> None:
    assert read_config(folder(tmp_path, {})).max_context == DEFAULT_CONTEXT


def test_a_model_that_also_sees_keeps_its_numbers_deeper(tmp_path: Path) -> None:
    text = {"max_position_embeddings": 99, "eos_token_id": 7, "vocab_size": 5}
    config = read_config(folder(tmp_path, {"text_config": text}))

    assert (config.max_context, config.eos_ids, config.vocabulary_size) == (99, frozenset({7}), 5)


@pytest.mark.parametrize(
    ("generation", "expected"),
    [
        ({"eos_token_id": [3, 4]}, {3, 4}),
        ({"eos_token_id": 3}, {3}),
        ({"eos_token_id": 0}, {0}),
        ({}, {9}),
        (None, {9}),
    ],
)
def test_ends_of_text_come_from_the_generation_config_first(
    tmp_path: Path, generation: dict[str, object] | None, expected: set[int]
) -> None:
    assert read_config(folder(tmp_path, {"eos_token_id": 9}, generation)).eos_ids == expected


def test_older_architectures_name_their_shape_otherwise(tmp_path: Path) -> None:
    config = read_config(folder(tmp_path, {"n_layer": 2, "n_head": 4, "n_embd": 64}))

    assert config.kv_shape == KVShape(layers=2, heads=4, head_size=16)


def test_a_head_size_of_its_own_counts(tmp_path: Path) -> None:
    shape = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64, "num_key_value_heads": 1}

    assert read_config(folder(tmp_path, shape | {"head_dim": 32})).kv_shape == KVShape(2, 1, 32)


@pytest.mark.parametrize("text", ["{", "[]", "\ufeff"])
def test_a_damaged_file_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)

    with pytest.raises(Unsupported, match=r"config\.json"):
        read_config(tmp_path)
