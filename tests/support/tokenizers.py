"""Builds a Hugging Face tokenizer from the SentencePiece models that come with the tiny checkpoints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any



def write_tokenizer(sentencepiece_model: Path, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json, of the kind that Llama checkpoints have."""
    pieces = list(_pieces(sentencepiece_model.read_bytes()))
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer(pieces), ensure_ascii=False), encoding="utf-8")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def _tokenizer(pieces: list[str]) -> dict[str, Any]:
    special = [
        {"id": i, "content": pieces[i], "single_word": False, "lstrip": False, "rstrip": False}
        | {"normalized": False, "special": True}
        for i in range(3)
    ]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    return {
        "version": "1.0",
        "added_tokens": special,
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "unk_token": "<unk>",
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": vocabulary,
            "merges": _merges(vocabulary),
        },
    }


def _merges(vocabulary: dict[str, int]) -> list[list[str]]:
    """Every split of a piece into two others, in the order in which the pieces were learned, which is that of their ids."""
    return [
        [piece[:cut], piece[cut:]]
        for piece in sorted(vocabulary, key=vocabulary.__getitem__)
        for cut in range(1, len(piece))
        if piece[:cut] in vocabulary and piece[cut:] in vocabulary and not piece.startswith("<")
    ]


def _pieces(model: bytes) -> Iterator[str]:
    """The vocabulary of a serialized ModelProto: field 1, whose field 1 is the piece."""
    for number, value in _fields(model):
        if number == 1 and isinstance(value, bytes):
            yield next(text.decode() for n, text in _fields(value) if n == 1 and isinstance(text, bytes))


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and raw values of a protobuf message. Source: https://protobuf.dev/programming-guides/encoding/"""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        match key & 7:
            case 0:
                value, at = _varint(message, at)
                yield key >> 3, value
            case 2:
                length, at = _varint(message, at)
                yield key >> 3, message[at : at + length]
                at += length
            case wire:
                width = {1: 8, 5: 4}[wire]
                yield key >> 3, message[at : at + width]
                at += width


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
