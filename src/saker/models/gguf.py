"""Reads the header of a GGUF file, proves that the file is whole, and tells whether OpenVINO GenAI can load it.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from saker.core.errors import InvalidInput, Unsupported

MAX_ITEMS = 10_000_000  # of one array; the largest vocabularies have under a million
MAX_DEPTH = 4
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_TOKENS = "tokenizer.ggml.tokens"

# Number: name, elements of a block, bytes of a block. Source: ggml.h, ggml_type; ggml-common.h, block_*
_TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
}  # fmt: skip

# What OpenVINO GenAI 2026.4 loads, found by trying each (test_gguf_engine.py tries them again).
READABLE_ARCHITECTURES = ("llama", "qwen2", "qwen3")
READABLE_TYPES = ("F16", "Q8_0", "Q4_0", "Q4_1", "Q4_K", "Q6_K")
READABLE_TOKENIZER = "gpt2"  # byte-level BPE
_NEEDED_KEYS = (
    "general.file_type", "tokenizer.ggml.pre", "tokenizer.ggml.tokens", "tokenizer.ggml.token_type",
    "tokenizer.ggml.merges", "tokenizer.ggml.eos_token_id",
)  # fmt: skip
_NEEDED_NUMBERS = ("block_count", "embedding_length", "attention.head_count")


@dataclass(frozen=True)
class GgufHeader:
    """What a file says of itself."""

    metadata: Mapping[str, Any]
    """Keys and values; of an array only its length is kept, as `Length`."""
    types: frozenset[str]
    """The types of all tensors with two dimensions or more."""
    tensors: frozenset[str] = field(repr=False)
    elements: int
    """Numbers in all tensors together."""
    tokens: tuple[str, ...] = field(default=(), repr=False)
    """The vocabulary, by token id."""

    @property
    def architecture(self) -> str:
        """As llama.cpp names it."""
        return str(self.metadata.get("general.architecture", ""))

    def number(self, name: str) -> int:
        """An architecture's own number, "block_count" for instance; 0 where there is none."""
        value = self.metadata.get(f"{self.architecture}.{name}", 0)
        return value if type(value) is int else 0


@dataclass(frozen=True, slots=True)
class Length:
    """Stands for an array that was skipped."""

    items: int


def read_header(path: Path) -> GgufHeader:
    """The header of a GGUF file whose size fits its tensors.

    Raises:
        InvalidInput: The file is no GGUF file, of an unknown version, cut short or damaged.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            return _Reader(file, size).header()
        except (struct.error, ValueError, KeyError, OverflowError, MemoryError) as error:
            raise _damaged(path, f"Reading its header failed: {error}.") from None


def check_readable(name: str, header: GgufHeader) -> None:
    """Pass when OpenVINO GenAI loads the file.

    Raises:
        Unsupported: It does not; names the part of the file that it cannot read.
    """
    why = _obstacle(header)
    if why:
        raise Unsupported(
            f"No engine here can load the GGUF file {name!r}.",
            why=why,
            fix="Deploy the model's safetensors repository instead: Saker converts and quantizes it itself.",
        )


def _obstacle(header: GgufHeader) -> str:
    tokenizer = header.metadata.get("tokenizer.ggml.model")
    if header.architecture not in READABLE_ARCHITECTURES:
        return f"Its architecture is {header.architecture!r}; readable are {', '.join(READABLE_ARCHITECTURES)}."
    scaling = header.metadata.get(f"{header.architecture}.rope.scaling.type", "none")
    if scaling != "none" or "rope_freqs.weight" in header.tensors:
        return "It stretches its context by RoPE scaling, which OpenVINO GenAI does not read from GGUF files."
    if tokenizer != READABLE_TOKENIZER:
        return f"Its tokenizer is of kind {tokenizer!r}; readable is {READABLE_TOKENIZER!r} (byte-level BPE)."
    if header.metadata.get("split.count", 0):
        return "It is one part of a file that was split."
    missing = [key for key in _NEEDED_KEYS if key not in header.metadata]
    missing += [f"{header.architecture}.{name}" for name in _NEEDED_NUMBERS if not header.number(name)]
    if missing:
        return f"Its metadata lacks {', '.join(map(repr, missing))}."
    unreadable = sorted(header.types - set(READABLE_TYPES))
    if unreadable:
        return f"It holds tensors of type {', '.join(unreadable)}; readable are {', '.join(READABLE_TYPES)}."
    return ""


class _Reader:
    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._tokens: tuple[str, ...] = ()

    def header(self) -> GgufHeader:
        if self._file.read(4) != b"GGUF":
            raise ValueError("the file does not start with 'GGUF'")
        version = self._scalar(4)
        if version not in (2, 3):
            raise ValueError(f"version {version} is unknown; known are 2 and 3")
        tensors, pairs = self._count(), self._count()
        metadata: dict[str, Any] = {}
        for _ in range(pairs):
            key = self._string()
            metadata[key] = self._tokens_array() if key == _TOKENS else self._value(self._scalar(4))
        return self._tensors(tensors, metadata)

    def _tensors(self, count: int, metadata: dict[str, Any]) -> GgufHeader:
        types, names, elements, end = set(), set(), 0, 0
        for _ in range(count):
            names.add(self._string())
            dimensions = self._scalar(4)
            if dimensions > MAX_DEPTH:
                raise ValueError(f"a tensor has {dimensions} dimensions")
            number = math.prod(self._scalar(10) for _ in range(dimensions))
            name, block, block_bytes = _TYPES[self._scalar(4)]
            end = max(end, self._scalar(10) + number // block * block_bytes)
            elements += number
            if dimensions > 1:
                types.add(name)
        self._check_size(metadata, end)
        return GgufHeader(metadata, frozenset(types), frozenset(names), elements, self._tokens)

    def _check_size(self, metadata: Mapping[str, Any], end: int) -> None:
        alignment = metadata.get("general.alignment", 32)
        if type(alignment) is not int or alignment < 1:
            raise ValueError("its alignment is no positive number")
        start = -(-self._file.tell() // alignment) * alignment
        if start + end > self._size:
            raise ValueError(f"its tensors end at byte {start + end:,} and the file at {self._size:,}")

    def _value(self, kind: int, depth: int = 0) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            return self._skip_array(depth)
        return self._scalar(kind)

    def _tokens_array(self) -> Length:
        if (self._scalar(4), self._scalar(4)) != (_ARRAY, _STRING):
            raise ValueError("its tokens are no list of texts")
        self._tokens = tuple(self._string() for _ in range(self._count()))
        return Length(len(self._tokens))

    def _skip_array(self, depth: int) -> Length:
        kind, length = self._scalar(4), self._count()
        if depth >= MAX_DEPTH:
            raise ValueError("arrays are nested too deeply")
        if kind in _SCALARS:
            self._take(struct.calcsize(_SCALARS[kind]) * length)
        else:
            for _ in range(length):
                self._value(kind, depth + 1)
        return Length(length)

    def _string(self) -> str:
        return self._take(self._scalar(10)).decode("utf-8", "replace")

    def _count(self) -> int:
        count = int(self._scalar(10))
        if count > MAX_ITEMS:
            raise ValueError(f"it announces {count:,} items")
        return count

    def _scalar(self, kind: int) -> Any:
        return struct.unpack("<" + _SCALARS[kind], self._file.read(struct.calcsize("<" + _SCALARS[kind])))[0]

    def _take(self, length: int) -> bytes:
        if length > self._size - self._file.tell():
            raise ValueError("it is cut short")
        return self._file.read(length)


def _damaged(path: Path, why: str) -> InvalidInput:
    return InvalidInput(
        f"The GGUF file {path.name!r} is cut short or damaged.", why=why, fix="Copy or download the file again."
    )
