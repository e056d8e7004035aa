"""Models that cannot be served: the endpoint fails with a FailureReason that names cause and fix."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.live import LivePlatform, deploy, wait_until, write_fake_model

CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "vocab_size": 16,
}


def write_safetensors(path: Path, cut: int = 0) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}).encode()
    path.write_bytes((struct.pack("<Q", len(header)) + header + bytes(64))[: -cut or None])


def whole(folder: Path, **changes: Any) -> None:
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))
    (folder / "tokenizer.json").write_text("{}")
    write_safetensors(folder / "model.safetensors")


def without_config(folder: Path) -> None:
    whole(folder)
    (folder / "config.json").unlink()


def with_pickle(folder: Path) -> None:
    whole(folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def truncated(folder: Path) -> None:
    whole(folder)
    write_safetensors(folder / "model.safetensors", cut=10)


def unknown_architecture(folder: Path) -> None:
    whole(folder, model_type="lama", architectures=["LamaForCausalLM"])


def own_code(folder: Path) -> None:
    whole(folder, model_type="mine", auto_map={"AutoModelForCausalLM": "modeling.Model"})


def broken_config(folder: Path) -> None:
    whole(folder)
    (folder / "config.json").write_text("{")


def empty(folder: Path) -> None:
    del folder  # it stays as it was made


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (without_config, "config.json"),
        (with_pickle, "pickle"),
        (truncated, "model.safetensors"),
        (unknown_architecture, "Did you mean 'llama'?"),
        (own_code, "SAKER_TRUST_REMOTE_CODE"),
        (broken_config, "config.json"),
        (empty, "config.json"),
    ],
)
def test_a_folder_that_is_no_servable_model_fails_with_cause_and_fix(
    sagemaker: Any, tmp_path: Path, name: str, write: Callable[[Path], None], words: str
) -> None:
    write(tmp_path)
    deploy(sagemaker, name, tmp_path, wait=False)

    reason = wait_until(sagemaker, name, "Failed")["FailureReason"]

    assert words in reason


def test_a_folder_that_does_not_exist_is_named(sagemaker: Any, tmp_path: Path, name: str) -> None:
    deploy(sagemaker, name, tmp_path / "nowhere", wait=False)

    assert "nowhere" in wait_until(sagemaker, name, "Failed")["FailureReason"]


def test_a_model_that_does_not_fit_the_memory_fails_with_both_figures(
    live: LivePlatform, sagemaker: Any, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The estimate is compared with what the machine has, before anything is started."""
    monkeypatch.setattr(live.platform.fleet._starter, "_available_memory", lambda: 1024)
    deploy(sagemaker, name, write_fake_model(tmp_path), wait=False)

    reason = wait_until(sagemaker, name, "Failed")["FailureReason"]

    assert "memory" in reason
