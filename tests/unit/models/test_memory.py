from __future__ import annotations

from pathlib import Path

from saker.models.base import MemoryEstimate
from saker.models.gguf import read_header
from saker.models.memory import RUNTIME_BYTES, conversion_bytes, converted_weights_bytes, estimate
from support.checkpoints import CONFIG, gguf_bytes


def test_keys_and_values_come_from_the_configuration() -> None:
    # 2 (keys, values) x 5 layers x 4 heads x 8 numbers x 2 bytes
    assert MemoryEstimate(1000, 640, 512, RUNTIME_BYTES["genai"]) == estimate("genai", 1000, CONFIG)


def test_the_total_holds_one_full_conversation() -> None:
    assert 100 + 10 * 7 + 1000 == MemoryEstimate(100, 10, 7, 1000).total_bytes


def test_a_head_size_of_its_own_is_taken() -> None:
    assert 2 * 5 * 4 * 128 * 2 == estimate("genai", 0, dict(CONFIG) | {"head_dim": 128}).kv_bytes_per_token


def test_older_names_are_known() -> None:
    gpt2 = {"n_layer": 12, "n_head": 12, "n_embd": 768, "n_positions": 1024}

    found = estimate("genai", 0, gpt2)

    assert (2 * 12 * 768 * 2, 1024) == (found.kv_bytes_per_token, found.max_context)


def test_nonsense_counts_as_unknown() -> None:
    found = estimate("genai", 5, {"num_hidden_layers": "many", "max_position_embeddings": -1, "n_head": True})

    assert (0, 0) == (found.kv_bytes_per_token, found.max_context)


def test_gguf_metadata_tells_the_same(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf_bytes())

    found = estimate("genai", 9, gguf=read_header(path))

    assert (2 * 2 * 2 * 16 * 2, 128) == (found.kv_bytes_per_token, found.max_context)


def test_converted_weights_shrink_as_their_format_says() -> None:
    assert [1000, 562, 4000] == [converted_weights_bytes(1000, f) for f in ("int8", "int4", "fp32")]


def test_a_conversion_of_narrow_weights_needs_more_for_each() -> None:
    assert conversion_bytes(2 * 10**9, 10**9) > conversion_bytes(4 * 10**9, 10**9)
