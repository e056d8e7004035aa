"""Makes the model that ships inside the package, from Andrej Karpathy's stories260K checkpoint.

Runs in the torch engine environment (torch, transformers, optimum-intel, openvino), and gives the same bytes every
time:

    python tools/make_embedded.py --checkpoint stories260K.hf --tokenizer tok512.model --out src/saker/models/embedded
"""

from __future__ import annotations

import argparse
import json
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, processors
from tokenizers.models import BPE

SPACE = "\u2581"
"""How sentencepiece writes a space."""

BOS, EOS = 1, 2

CONFIG_KEYS = (
    *("architectures", "model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("num_key_value_heads", "vocab_size", "max_position_embeddings", "rms_norm_eps", "rope_theta", "hidden_act"),
    *("tie_word_embeddings", "bos_token_id", "eos_token_id"),
)

# The model only goes on with stories, so a conversation is its contents, one after the other.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ message['content'] }}{% if not loop.last %}\n{% endif %}"
    "{% endfor %}"
)


class Piece(NamedTuple):
    """One entry of a sentencepiece vocabulary."""

    text: str
    score: float
    kind: int
    """1 normal, 2 unknown, 3 control, 6 byte."""


def read_pieces(model: bytes) -> list[Piece]:
    """The vocabulary of a sentencepiece model file, in order of ids.

    Source: sentencepiece_model.proto: ModelProto.pieces = 1 with piece = 1, score = 2, type = 3.
    """
    pieces = []
    for number, value in _fields(model):
        if number == 1:
            fields = dict(_fields(value))
            (score,) = struct.unpack("<f", fields.get(2, b"\0\0\0\0"))
            pieces.append(Piece(fields[1].decode(), score, fields.get(3, 1)))
    return pieces


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers and values of one protobuf message: ints, or bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        length = {1: 8, 5: 4}.get(key & 7)
        if length is None:
            length, at = _varint(data, at)
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def build_tokenizer(model: bytes) -> Tokenizer:
    """A fast tokenizer with the ids that the sentencepiece BPE model gives."""
    pieces = read_pieces(model)
    has_bytes = any(piece.kind == 6 for piece in pieces)
    vocabulary = {piece.text: id for id, piece in enumerate(pieces)}
    unknown = next(piece.text for piece in pieces if piece.kind == 2)
    tokenizer = Tokenizer(BPE(vocabulary, _merges(pieces), unk_token=unknown, fuse_unk=True, byte_fallback=has_bytes))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(r"\A +| +\z"), ""),  # remove_extra_whitespaces of the model
            normalizers.Replace(Regex(" {2,}"), " "),
            normalizers.Prepend(SPACE),
            normalizers.Replace(" ", SPACE),
        ]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", BOS)]
    )
    special = [piece.text for piece in pieces if piece.kind in (2, 3)]
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in special])
    return tokenizer


def _merges(pieces: list[Piece]) -> list[tuple[str, str]]:
    """Every way to join two pieces into a third, the likeliest third first."""
    scores = {piece.text: piece.score for piece in pieces if piece.kind == 1}
    joins = [
        (-score, (text[:cut], text[cut:]))
        for text, score in scores.items()
        for cut in range(1, len(text))
        if text[:cut] in scores and text[cut:] in scores
    ]
    return [pair for _, pair in sorted(joins, key=lambda join: join[0])]


def export_openvino(checkpoint: Path, out: Path) -> None:
    """Convert the checkpoint to OpenVINO's format with 16-bit weights."""
    import openvino
    from optimum.intel import OVModelForCausalLM

    with tempfile.TemporaryDirectory() as scratch:
        model = OVModelForCausalLM.from_pretrained(checkpoint, export=True, compile=False, load_in_8bit=False)
        model.save_pretrained(scratch)
        graph = openvino.Core().read_model(Path(scratch) / "openvino_model.xml")
        openvino.save_model(graph, out / "openvino_model.xml", compress_to_fp16=True)


def write_json(path: Path, value: object) -> None:
    """Write a JSON file that reads well in a diff."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_configs(checkpoint: Path, out: Path) -> None:
    """Write what says how to run the model."""
    config = json.loads((checkpoint / "config.json").read_text())
    write_json(out / "config.json", {key: config[key] for key in CONFIG_KEYS})
    # The training data begins each story with <s>; that token therefore also ends the one before.
    write_json(out / "generation_config.json", {"bos_token_id": BOS, "eos_token_id": [BOS, EOS]})
    write_json(
        out / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "model_max_length": config["max_position_embeddings"],
            "clean_up_tokenization_spaces": False,
            "chat_template": CHAT_TEMPLATE,
        },
    )


def main() -> None:
    """Write all files but NOTICE into the folder `--out`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder with config.json and model.safetensors")
    parser.add_argument("--tokenizer", type=Path, required=True, help="sentencepiece model file")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    build_tokenizer(given.tokenizer.read_bytes()).save(str(given.out / "tokenizer.json"), pretty=False)
    export_openvino(given.checkpoint, given.out)
    write_configs(given.checkpoint, given.out)
    size = sum(file.stat().st_size for file in given.out.iterdir())
    print(f"{given.out}: {size:,} bytes")


if __name__ == "__main__":
    main()
