from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saker.core.errors import InvalidInput
from saker.models.safetensors import Tensor, read_header
from support.checkpoints import safetensors_bytes


def test_a_whole_file_gives_its_tensors(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors_bytes({"a": (2, 3), "b": (4,)}, {"__metadata__": {"format": "pt"}}))

    assert {"a": Tensor("F32", (2, 3), 0, 24), "b": Tensor("F32", (4,), 24, 40)} == read_header(path)


def test_a_scalar_and_an_empty_tensor_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors_bytes({"scalar": (), "empty": (0, 4)}))

    assert [1, 0] == [tensor.elements for tensor in read_header(path).values()]


@pytest.mark.parametrize("kept", [0, 7, 8, 20, -1])
def test_a_file_that_was_cut_short_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors_bytes({"a": (2, 3)})[:kept])

    with pytest.raises(InvalidInput, match=r"'model\.safetensors' is cut short or damaged"):
        read_header(path)


def test_bytes_after_the_last_tensor_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors_bytes({"a": (2, 3)}) + b"x")

    with pytest.raises(InvalidInput, match="describes 24 bytes of tensors, and 25 follow"):
        read_header(path)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},  # a gap before it
        {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]},  # shape and bytes differ
        {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [-2], "data_offsets": [0, -8]},
        {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [True, 2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": None, "data_offsets": [0, 8]},
        {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0]},
        ["F32"],
    ],
)
def test_a_header_that_does_not_add_up_is_refused(tmp_path: Path, entry: Any) -> None:
    raw = json.dumps({"a": entry}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(8))

    with pytest.raises(InvalidInput):
        read_header(path)


def test_a_git_lfs_pointer_is_recognized_in_the_fix(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 10\n")

    with pytest.raises(InvalidInput, match="git lfs pull"):
        read_header(path)


@given(st.binary(max_size=300))
def test_any_bytes_give_tensors_or_an_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(content)

    with pytest.raises(InvalidInput):
        read_header(path)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)))
def test_any_json_header_gives_tensors_or_an_error(tmp_path_factory: pytest.TempPathFactory, header: Any) -> None:
    raw = json.dumps(header).encode()
    path = tmp_path_factory.getbasetemp() / "json.safetensors"
    path.write_bytes(struct.pack("<Q", len(raw)) + raw)
    try:
        tensors = read_header(path)
    except InvalidInput:
        return

    assert all(tensor.elements == 0 for tensor in tensors.values())
