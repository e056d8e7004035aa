"""Detecting the watermark from the command line."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from saker.cli import watermark as cli
from saker.engine.base import EngineOptions
from saker.engine.messages import GenerateRequest, Sampling
from saker.models.store import EMBEDDED
from support.command_line import Outcome, run_here

np = pytest.importorskip("numpy")  # comes with OpenVINO
watermark = pytest.importorskip("saker.engine.paged.watermark")

VOCABULARY = 100

HUMAN = """It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of folly,
it was the epoch of belief, it was the epoch of incredulity, it was the season of light, the season of darkness."""

gammas = st.floats(0, 1, exclude_min=True, exclude_max=True, width=32)
texts = st.lists(st.integers(0, 511), max_size=60)


def detect(*options: object, stdin: str | bytes = HUMAN) -> Outcome:
    return run_here("watermark", "detect", *options, stdin=stdin)


def report(*options: object, stdin: str | bytes = HUMAN) -> dict[str, Any]:
    """What the JSON says."""
    outcome = detect("--json", *options, stdin=stdin)
    assert outcome.code == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out)
    return found


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A model whose tokens are the words w0 to w99, so that a text is cut as it was written."""
    folder = tmp_path / "words"
    folder.mkdir()
    tokenizer = tokenizers.Tokenizer(WordLevel({f"w{id}": id for id in range(VOCABULARY)}, unk_token="w0"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def green_text(length: int) -> str:
    """Text for that model of nothing but green tokens."""
    mark, draw = watermark.Watermark(VOCABULARY), random.Random(1)
    tokens = [0]
    while len(tokens) < length:
        row = np.zeros(VOCABULARY, np.float32)
        mark.raise_green(row, tokens[-1])
        tokens.append(draw.choice(row.nonzero()[0].tolist()))
    return " ".join(f"w{id}" for id in tokens)


# the numbers


@given(texts, gammas, st.integers())
def test_every_text_gives_numbers_within_their_bounds(tokens: list[int], gamma: float, key: int) -> None:
    found = watermark.detect(tokens, gamma, key)

    assert 0 <= found.green <= found.scored <= max(len(tokens) - 1, 0)
    assert 0.0 <= found.p_value <= 1.0
    assert found.z == found.z  # a number
    assert cli.judge(found, gamma, 1e-5) in ("marked", "not found", "too short")


@given(st.lists(st.integers(0, 511), min_size=1, max_size=30), st.integers(2, 4))
def test_saying_the_same_again_changes_nothing(tokens: list[int], times: int) -> None:
    """Of a circle of tokens, so that the seams are no new pairs."""
    once = watermark.detect([*tokens, tokens[0]])

    assert once == watermark.detect([*(tokens * times), tokens[0]])


@given(st.integers(1, 300), st.data(), gammas)
def test_more_green_tokens_are_never_less_evidence(scored: int, data: st.DataObject, gamma: float) -> None:
    green = data.draw(st.integers(1, scored))
    fewer, more = (watermark._tail(count, scored, gamma) for count in (green - 1, green))

    assert fewer >= more * (1 - 1e-9)  # rounding


@pytest.mark.parametrize(
    ("green", "scored", "gamma", "expected"),
    [
        (10, 10, 0.5, 2**-10),
        (0, 10, 0.25, 1.0),
        (1, 2, 0.1, 0.19),
        (72, 100, 0.5, 6.29e-6),
        (16, 25, 0.25, 4.31e-5),  # 13 times the normal distribution's tail
        (3, 3, 1e-6, 1e-18),
    ],
)
def test_p_is_the_binomial_distributions_tail(green: int, scored: int, gamma: float, expected: float) -> None:
    assert expected == pytest.approx(watermark._tail(green, scored, gamma), rel=2e-3)


def test_a_long_text_is_scored_without_overflow() -> None:
    assert 0.0 == watermark._tail(90_000, 100_000, 0.5)
    assert 0.5 == pytest.approx(watermark._tail(50_000, 100_000, 0.5), abs=0.01)


# the verdict


def test_the_defaults_are_the_engines_own() -> None:
    assert (watermark.GAMMA, watermark.KEY) == (cli.GAMMA, cli.KEY)


@pytest.mark.parametrize(
    ("scored", "p_value", "threshold", "verdict"),
    [
        (100, 1e-6, 1e-5, "marked"),
        (100, 1e-5, 1e-5, "not found"),  # exactly at it
        (100, 1e-3, 1e-2, "marked"),
        (16, 2**-16, 1e-5, "too short"),  # all of them green
        (17, 2**-17, 1e-5, "marked"),
        (15, 1e-9, 0.5, "too short"),  # below what can be told at any threshold
        (0, 1.0, 1e-5, "too short"),
    ],
)
def test_the_verdict_follows_p_and_the_length(scored: int, p_value: float, threshold: float, verdict: str) -> None:
    assert verdict == cli.judge(watermark.Detection(scored, scored, 1.0, p_value), 0.5, threshold)


@given(gammas.filter(lambda gamma: gamma < 0.99), st.floats(1e-9, 0.5))
def test_a_text_of_the_length_that_is_needed_can_reach_the_threshold(gamma: float, threshold: float) -> None:
    length = cli.needed(gamma, threshold)

    assert watermark._tail(length, length, gamma) <= threshold * (1 + 1e-9)


# the command


def test_marked_text_is_told_in_a_table_and_a_sentence(words: Path) -> None:
    outcome = detect("--model", words, stdin=green_text(60))

    assert outcome.code == 0
    assert "Scored tokens  " in outcome.out
    assert "expected without the mark" in outcome.out
    assert outcome.out.endswith(
        "The text carries the mark: an unmarked one scores so high with a probability below 1e-05.\n"
    )


def test_human_text_is_not_found_to_be_marked() -> None:
    outcome = detect("--model", "embedded")

    assert outcome.code == 0
    assert "No mark was found." in outcome.out


def test_short_text_is_too_short_to_tell() -> None:
    outcome = detect("--model", "embedded", stdin="Once upon a time")

    assert outcome.code == 0
    assert outcome.out.endswith("too short to tell: at the threshold 1e-05 it needs 17 scored tokens.\n")


def test_json_holds_the_numbers_and_the_verdict(words: Path) -> None:
    path = words / "marked.txt"
    path.write_text(green_text(60))
    found = report("--model", words, path)

    assert ("marked", 0.5, 1e-5) == (found["verdict"], found["gamma"], found["threshold"])
    assert found["green"] / found["scored"] == found["share"] > 0.9
    assert found["p_value"] < 1e-9
    assert found["z"] > 5


def test_another_key_another_share_and_another_threshold_are_taken(words: Path) -> None:
    def verdict(*options: str) -> str:
        return str(report("--model", words, *options, stdin=green_text(60))["verdict"])

    assert "marked" == verdict()
    assert "not found" == verdict("--key", "7")
    assert "too short" == verdict("--gamma", "0.9")
    assert "too short" == verdict("--threshold", "1e-30")


@pytest.mark.parametrize("option", ["--gamma", "--threshold"])
@pytest.mark.parametrize("value", ["0", "1", "-1", "nan", "inf", "x"])
def test_a_share_outside_its_range_is_misuse(option: str, value: str) -> None:
    outcome = detect("--model", "embedded", option, value)

    assert outcome.code == 2
    assert option in outcome.err


@pytest.mark.parametrize("options", [(), ("--model", "embedded", "--endpoint", "demo")])
def test_one_of_model_and_endpoint_is_needed(options: tuple[str, ...]) -> None:
    outcome = detect(*options)

    assert outcome.code == 2
    assert "either --model or --endpoint" in outcome.err


@pytest.mark.parametrize(
    ("options", "stdin", "words"),
    [
        (("--model", "embedded"), b"", "Standard input is empty."),
        (("--model", "embedded"), b"\xff\xfe", "is not UTF-8 text."),
        (("--model", "embedded", "nowhere.txt"), b"", "There is no file 'nowhere.txt'."),
        (("--model", "embeded"), b"x", "Did you mean 'embedded'?"),
        (("--model", "nobody/nothing"), b"x", "saker deploy nobody/nothing"),
        (("--endpoint", "demo"), b"x", "saker up"),
    ],
)
def test_what_stops_it_is_said(tmp_path: Path, options: tuple[str, ...], stdin: bytes, words: str) -> None:
    outcome = detect("--home", tmp_path, *options, stdin=stdin)

    assert outcome.code == 1
    assert words in outcome.err


def test_without_numpy_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    monkeypatch.delitem(sys.modules, "saker.engine.paged.watermark")
    monkeypatch.delattr("saker.engine.paged.watermark")
    outcome = detect("--model", "embedded")

    assert outcome.code == 1
    assert "pip install 'saker-llm[openvino]'" in outcome.err


# the engine


@pytest.mark.real
def test_text_of_the_engine_is_found_marked_and_its_unmarked_twin_is_not() -> None:
    """From its text alone: the command cuts it into tokens again."""
    paged = pytest.importorskip("saker.engine.paged.engine")
    engine = paged.PagedEngine(EngineOptions(str(EMBEDDED), precision="fp32"))
    tale = GenerateRequest(
        prompt="Once upon a time",
        max_new_tokens=400,
        ignore_eos=True,
        sampling=Sampling(temperature=1.0, seed=11),
    )
    texts = {"not found": "", "marked": ""}
    engine.submit(0, tale)
    engine.submit(1, msgspec.structs.replace(tale, watermark=True))
    while engine.has_work():
        for chunk in engine.step():
            texts[list(texts)[chunk.id]] += chunk.text
    engine.close()
    found = {verdict: report("--model", "embedded", stdin=text) for verdict, text in texts.items()}

    assert all(verdict == found[verdict]["verdict"] for verdict in texts)
    assert found["marked"]["p_value"] < 1e-6
    assert found["not found"]["p_value"] > 1e-3
