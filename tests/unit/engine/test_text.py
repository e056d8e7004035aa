"""Tokens to text, piece by piece."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from saker.core.errors import Unsupported
from saker.engine.text import MAX_PENDING, FastTokenizer, TextStream
from support.environment import ROOT, data

EMBEDDED = ROOT / "src" / "saker" / "models" / "embedded"
FAMILIES = ["phi-3-mini", "gpt-neox-20b", "falcon", "roberta-base", "t5-small", "bert-uncased"]
TEXTS = [
    "Once upon a time, there was a little girl.",
    " leading and  double  spaces ",
    "naïve café – “quotes”, 你好，世界 🎉👩‍👩‍👧 ṩ",
    "def f(x):\n\treturn x  # code\n\n",
    "1234567890 3.14 <tag> a_b",
]


def family(name: str, folder: Path) -> FastTokenizer:
    """A tokenizer of a well-known model family."""
    packed = data("tokenizers") / name / "tokenizer.json.gz"
    (folder / "tokenizer.json").write_bytes(gzip.decompress(packed.read_bytes()))
    return FastTokenizer(folder)


@pytest.fixture
def embedded() -> FastTokenizer:
    return FastTokenizer(EMBEDDED)


@pytest.mark.parametrize("name", FAMILIES)
def test_pieces_join_to_the_text_at_once_and_never_split_a_character(name: str, tmp_path: Path) -> None:
    tokenizer = family(name, tmp_path)
    prompt = tokenizer.encode("Tell me:", special=True)
    for text in TEXTS:
        ids = tokenizer.encode(text, special=False)
        stream = TextStream(tokenizer, prompt)
        pieces = [stream.feed([id]) for id in ids]

        assert "".join(pieces) == TextStream(tokenizer, prompt).feed_all(ids)
        assert not any("\ufffd" in piece for piece in pieces)


@pytest.mark.parametrize("name", FAMILIES)
def test_an_answer_continues_its_prompt(name: str, tmp_path: Path) -> None:
    """What the stream gives is what the whole decodes to, less the prompt."""
    tokenizer = family(name, tmp_path)
    ids = tokenizer.encode("Once upon a time there was a girl", special=True)
    for cut in range(2, len(ids)):
        whole, before = tokenizer.decode(ids), tokenizer.decode(ids[:cut])
        if whole.startswith(before):
            assert TextStream(tokenizer, ids[:cut]).feed_all(ids[cut:]) == whole[len(before) :]


def test_a_character_of_several_tokens_comes_whole_with_the_last(embedded: FastTokenizer) -> None:
    ids = embedded.encode("🎉", special=False)[1:]
    stream = TextStream(embedded, [1])

    assert [stream.feed([id]) for id in ids] == ["", "", "", "🎉"]


def test_a_character_that_never_completes_is_not_shown(embedded: FastTokenizer) -> None:
    ids = embedded.encode("a🎉", special=False)
    stream = TextStream(embedded, [1])

    assert "".join(stream.feed([id]) for id in ids[:-1]) + stream.flush() == "a"
    assert TextStream(embedded, [1]).feed_all(ids[:-1]) == "a"


def test_bytes_that_are_no_characters_do_not_hold_text_back_for_ever(embedded: FastTokenizer) -> None:
    broken = embedded.encode("🎉", special=False)[2]  # a continuation byte alone
    stream = TextStream(embedded, [1])
    shown = "".join(stream.feed([broken]) for _ in range(MAX_PENDING))

    assert shown == "\ufffd" * MAX_PENDING


def test_a_prompt_that_ends_inside_a_character_leaves_it_to_the_answer(embedded: FastTokenizer) -> None:
    ids = embedded.encode("🎉", special=True)

    assert TextStream(embedded, ids[:-1]).feed([ids[-1]]) == "🎉"


def test_special_tokens_have_no_text(embedded: FastTokenizer) -> None:
    stream = TextStream(embedded, [1, 403])

    assert [stream.feed([2]), stream.feed([407])] == ["", " upon"]


def test_padding_and_truncation_of_the_training_are_switched_off(tmp_path: Path) -> None:
    tokenizer = json.loads((EMBEDDED / "tokenizer.json").read_text())
    tokenizer["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    tokenizer["padding"] = {"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": None} | {
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "<unk>",
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))

    assert len(FastTokenizer(tmp_path).encode("Once upon a time", special=True)) == 5


def test_tokens_that_only_the_configuration_declares_are_added(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((EMBEDDED / "tokenizer.json").read_bytes())
    token = {"content": "<|turn|>", "special": True, "normalized": False, "lstrip": False, "rstrip": False}
    config = {"added_tokens_decoder": {"512": token | {"single_word": False}}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))

    assert FastTokenizer(tmp_path).encode("<|turn|>", special=False) == [512]


def test_a_folder_without_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"no tokenizer\.json"):
        FastTokenizer(tmp_path)


def test_a_damaged_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")

    with pytest.raises(Unsupported, match="cannot be read"):
        FastTokenizer(tmp_path)


def test_the_embedded_tokenizer_gives_sentencepieces_ids(embedded: FastTokenizer) -> None:
    """As sentencepiece 0.2 encodes them with the original tok512.model."""
    expected = {
        "Once upon a time": [403, 407, 261, 378],
        "  two  spaces ": [259, 424, 414, 262, 427, 412, 331, 419],
        "a\nb": [261, 13, 430],
        "é 你🎉": [410, 485, 410, 231, 192, 163, 243, 162, 145, 140],
        "Lily's 12345": [317, 439, 419, 410, 475, 479, 472, 484, 480],
        "": [],
    }

    assert {text: embedded.encode(text, special=False) for text in expected} == expected
    assert embedded.encode("Once", special=True)[0] == 1
