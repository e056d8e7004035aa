"""Reads safetensors files as numpy arrays, trusting nothing that they say about themselves.

The format's own library refuses bfloat16 there, which most adapters are stored in.

Source: https://huggingface.co/docs/safetensors: 8 bytes of little-endian header length, a JSON header, the tensors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from saker.core.errors import InvalidInput, Unsupported

MAX_HEADER_BYTES = 16 << 20
"""A hundred times what an adapter of a model with a hundred layers needs."""

_NUMBERS = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}
"""numpy's type for each of the file's; bfloat16 it does not know."""


class _Entry(msgspec.Struct, frozen=True):
    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


@dataclass(frozen=True)
class Matrix:
    """One matrix in a file, unread."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    """Its first byte in the file."""

    def read(self) -> npt.NDArray[np.float32]:
        """Its numbers."""
        raw = np.fromfile(self.path, _NUMBERS[self.dtype], math.prod(self.shape), offset=self.start)
        if self.dtype == "BF16":  # the upper half of a 32-bit number
            return (raw.astype(np.uint32) << 16).view(np.float32).reshape(self.shape)
        return raw.astype(np.float32).reshape(self.shape)


def read_header(path: Path) -> dict[str, Matrix]:
    """All tensors of a file, unread, by name.

    Raises:
        InvalidInput: It is cut short, damaged, or no such file.
        Unsupported: Its numbers are of a type that is not read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER_BYTES):
            raise _damaged(path, f"It announces a header of {length:,} bytes and has {size:,}.")
        raw = file.read(length)
    try:
        entries = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        entries.pop("__metadata__", None)
        found = {name: msgspec.json.decode(entry, type=_Entry) for name, entry in entries.items()}
    except msgspec.MsgspecError as error:
        raise _damaged(path, f"{error}.") from error
    return {name: _matrix(path, name, entry, 8 + length, size) for name, entry in found.items()}


def _matrix(path: Path, name: str, entry: _Entry, begin: int, size: int) -> Matrix:
    if entry.dtype not in _NUMBERS:
        raise Unsupported(
            f"The tensor {name!r} has numbers of type {entry.dtype}.", fix=f"Save it as one of {', '.join(_NUMBERS)}."
        )
    start, end = entry.data_offsets
    width = np.dtype(_NUMBERS[entry.dtype]).itemsize
    is_inside = 0 <= start <= end <= size - begin
    if not is_inside or min(entry.shape, default=0) < 0 or math.prod(entry.shape) * width != end - start:
        raise _damaged(path, f"The tensor {name!r} does not lie where its header says.")
    return Matrix(path, entry.dtype, entry.shape, begin + start)


def _damaged(path: Path, why: str) -> InvalidInput:
    return InvalidInput(f"The file {path.name!r} is cut short or damaged.", why=why, fix="Copy or download it again.")
