"""Reads the header of a safetensors file and proves that the file is whole, without loading a tensor.

Source: https://huggingface.co/docs/safetensors: 8 bytes of little-endian header length, a JSON header, the tensors.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saker.core.errors import InvalidInput

MAX_HEADER_BYTES = 100_000_000  # the format's own limit
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file, unread."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    """First byte, counted from the end of the header."""
    end: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def read_header(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, by name; the file's size fits them exactly.

    Raises:
        InvalidInput: The file is empty, cut short, too long, or no safetensors file.
    """
    size = path.stat().st_size
    if size < 8:
        raise _damaged(path, f"It holds {size} bytes; the shortest header has 8.")
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(MAX_HEADER_BYTES, size - 8):
            raise _damaged(path, f"It announces a header of {length:,} bytes, and {size - 8:,} follow.")
        raw = file.read(length)
    tensors = _parse(path, raw)
    _check_layout(path, tensors, size - 8 - length)
    return tensors


def _parse(path: Path, raw: bytes) -> dict[str, Tensor]:
    try:
        header = json.loads(raw)
        if not isinstance(header, dict):
            raise TypeError("not an object")
        return {name: _tensor(entry) for name, entry in header.items() if name != "__metadata__"}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _damaged(path, f"Its header cannot be read ({type(error).__name__}).") from None


def _tensor(entry: Mapping[str, Any]) -> Tensor:
    start, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if any(type(n) is not int or n < 0 for n in (start, end, *shape)):
        raise ValueError("not a size")
    tensor = Tensor(entry["dtype"], shape, start, end)
    if tensor.elements * _BITS[tensor.dtype] != (end - start) * 8:
        raise ValueError("size and shape differ")
    return tensor


def _check_layout(path: Path, tensors: Mapping[str, Tensor], room: int) -> None:
    """The tensors follow one another without gaps and fill the file."""
    at = 0
    for tensor in sorted(tensors.values(), key=lambda t: (t.start, t.end)):
        if tensor.start != at:
            raise _damaged(path, "Its tensors overlap or leave a gap.")
        at = tensor.end
    if at != room:
        raise _damaged(path, f"Its header describes {at:,} bytes of tensors, and {room:,} follow.")


def _damaged(path: Path, why: str) -> InvalidInput:
    return InvalidInput(
        f"The weights file {path.name!r} is cut short or damaged.",
        why=why,
        fix="Copy or download the file again. A Git LFS pointer is a small text file: run `git lfs pull` there.",
    )
