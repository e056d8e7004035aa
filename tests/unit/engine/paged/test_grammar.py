"""Answers drawn from random logits have the form that was asked for: what the mask does not forbid will be drawn."""

from __future__ import annotations

import json
import random
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers

from saker.core.errors import InvalidInput, TooLarge, Unsupported
from saker.engine.messages import Grammar, GrammarKind, Sampling
from saker.engine.paged.sample import Chooser, Sampler
from saker.engine.text import FastTokenizer, TextStream
from support.environment import ROOT

pytest.importorskip("llguidance")

from saker.engine.paged.grammar import MOST_GRAMMARS, GrammarChange, Grammars

EMBEDDED = ROOT / "src" / "saker" / "models" / "embedded"
SIZE = 512
EOS = frozenset({1, 2})
TOKENIZER = FastTokenizer(EMBEDDED)
IDS = tokenizers.Tokenizer.from_str(TOKENIZER.to_json()).get_vocab()

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "kind": {"enum": ["cat", "dog", 7, None]},
        "score": {"type": "number"},
        "lists": {"type": "array", "items": {"type": "array", "items": {"type": "boolean"}}, "maxItems": 3},
        "note": {"type": "string", "pattern": "^[a-z]{2}é?$"},
    },
    "required": ["name", "age", "kind", "score", "lists"],
    "additionalProperties": False,
}

PRODUCT = [{"anyOf": [{"properties": {f"p{i}{j}": {"type": "integer"}}} for j in range(4)]} for i in range(12)]
"""Of all combinations of its alternatives there are 16 million."""


@pytest.fixture(scope="module")
def grammars() -> Grammars:
    return Grammars(EMBEDDED, SIZE, EOS)


def spell(text: str) -> list[int]:
    """The text in tokens of one character or byte."""
    found = []
    for letter in text:
        found += [IDS[letter]] if letter in IDS else [IDS[f"<0x{byte:02X}>"] for byte in letter.encode()]
    return found


def take(change: GrammarChange, text: str) -> GrammarChange:
    """Let it take a text, which must be allowed."""
    for token in spell(text):
        assert token in allowed(change)
        change.take(token)
    return change


def allowed(change: GrammarChange, size: int = SIZE) -> set[int]:
    """The tokens that may be drawn next."""
    row = np.zeros(size, np.float32)
    change.apply(row)
    return set(np.flatnonzero(np.isfinite(row)).tolist())


def generate(change: GrammarChange, seed: int, sampling: Sampling | None = None, size: int = SIZE) -> list[int]:
    """Tokens of an answer, without an end of text, drawn from random logits."""
    sampler = Sampler(size)
    numbers = np.random.default_rng(seed)
    chooser = Chooser(sampling or Sampling(temperature=1.0), random.Random(seed), [change], change)
    tokens: list[int] = []
    while not chooser.is_over and len(tokens) < 3000:
        (token,) = sampler.draw(numbers.standard_normal((1, size)).astype(np.float32), [chooser])
        chooser.take(token)
        if token in EOS:
            break
        tokens.append(token)
    assert change.failure is None
    return tokens


def text_of(tokens: list[int]) -> str:
    """What an engine would report."""
    return TextStream(TOKENIZER, [1, IDS["a"]]).feed_all(tokens)


def check_person(person: dict[str, Any]) -> None:
    assert set(PERSON["required"]) <= set(person) <= set(PERSON["properties"])
    assert isinstance(person["name"], str)
    assert len(person["name"]) <= 8
    assert type(person["age"]) is int
    assert 0 <= person["age"] <= 150
    assert person["kind"] in ("cat", "dog", 7, None)
    assert isinstance(person["score"], int | float)
    assert len(person["lists"]) <= 3
    assert all(item is True or item is False for inner in person["lists"] for item in inner)
    assert re.fullmatch("[a-z]{2}é?", person.get("note", "ab"))


@pytest.mark.parametrize("seed", range(10))
def test_an_answer_satisfies_its_schema(grammars: Grammars, seed: int) -> None:
    tokens = generate(grammars.change(Grammar("json_schema", json.dumps(PERSON))), seed)

    check_person(json.loads(text_of(tokens)))


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(temperature=1.0, top_k=5),
        Sampling(temperature=0.7, top_p=0.9, min_p=0.02),
        Sampling(temperature=1.3, typical_p=0.8),
    ],
)
def test_an_answer_satisfies_its_schema_however_it_is_drawn(grammars: Grammars, sampling: Sampling) -> None:
    tokens = generate(grammars.change(Grammar("json_schema", json.dumps(PERSON))), 1, sampling)

    check_person(json.loads(text_of(tokens)))


@pytest.mark.parametrize("size", [512, 513, 600])
def test_columns_without_a_token_are_never_drawn(size: int) -> None:
    change = Grammars(EMBEDDED, size, EOS).change(Grammar("json_schema", json.dumps(PERSON)))
    tokens = generate(change, 1, size=size)

    assert max(tokens) < min(size, SIZE)
    check_person(json.loads(text_of(tokens)))


def test_tokens_without_a_column_are_not_needed() -> None:
    """
    A tokenizer may know more tokens than the model has logits; in practice they are special ones.
    """
    tokens = generate(Grammars(EMBEDDED, 505, EOS).change(Grammar("regex", "[a-z ]{5,40}!")), 1, size=505)

    assert max(tokens) < 505
    assert re.fullmatch("[a-z ]{5,40}!", text_of(tokens))


@pytest.mark.parametrize(
    "pattern",
    [r"[A-Z][a-z]{2,9}(, [a-z]+){0,3}\.", r"\d{4}-\d\d-\d\d", "^(yes|no|maybe/later)$", "[é漢🎉]{1,6}", "(?i)äß?\n\"'"],
)
def test_an_answer_matches_its_regular_expression(grammars: Grammars, pattern: str) -> None:
    for seed in range(5):
        assert re.fullmatch(pattern, text_of(generate(grammars.change(Grammar("regex", pattern)), seed)))


def test_an_answer_follows_its_lark_grammar(grammars: Grammars) -> None:
    sums = 'start: sum\nsum: term ("+" term)*\nterm: NUMBER | "(" sum ")"\nNUMBER: /[1-9][0-9]{0,3}/'
    for seed in range(5):
        text = text_of(generate(grammars.change(Grammar("lark", sums)), seed))

        assert isinstance(eval(text, {}), int)


def test_digits_are_those_of_json(grammars: Grammars) -> None:
    change = grammars.change(Grammar("regex", r"\d"))

    assert {token for digit in "0123456789" for token in (IDS.get(digit), IDS[f"<0x{ord(digit):02X}>"])} >= allowed(
        change
    )


def test_what_may_end_and_may_go_on_is_not_over(grammars: Grammars) -> None:
    change = take(grammars.change(Grammar("regex", "a+")), "a")

    assert not change.is_over
    assert EOS | {IDS["a"]} <= allowed(change)


def test_what_must_end_is_over_with_its_last_token(grammars: Grammars) -> None:
    change = grammars.change(Grammar("json_schema", '{"type": "boolean"}'))
    over = [take(change, letter).is_over for letter in "true"]

    assert [False, False, False, True] == over
    assert change.failure is None
    assert allowed(change) == EOS


def test_an_end_of_text_makes_it_over(grammars: Grammars) -> None:
    change = take(grammars.change(Grammar("regex", "a+")), "a")
    change.take(2)

    assert change.is_over
    assert change.failure is None


def test_a_model_without_an_end_of_text_goes_on_until_nothing_can_follow() -> None:
    change = take(Grammars(EMBEDDED, SIZE, frozenset()).change(Grammar("regex", "ab?")), "a")
    assert {IDS["b"], IDS["<0x62>"]} == allowed(change)
    take(change, "b")

    assert change.is_over
    assert len(allowed(change)) == SIZE  # a row of nothing but minus infinity has no likeliest token


def test_tokens_that_only_the_tokenizer_s_settings_declare_are_known(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((EMBEDDED / "tokenizer.json").read_bytes())
    token = {"content": "<|end|>", "special": True, "normalized": False}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": {"512": token}}))
    change = Grammars(tmp_path, 513, frozenset({512})).change(Grammar("regex", "a"))
    change.take(IDS["a"])

    assert {512} == allowed(change, 513)


def test_a_tokenizer_that_the_library_cannot_read_is_unsupported(tmp_path: Path) -> None:
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    tokenizer.save(str(tmp_path / "tokenizer.json"))

    with pytest.raises(Unsupported, match="decoder"):
        Grammars(tmp_path, 2, frozenset()).change(Grammar("regex", "a"))


def test_answers_of_one_grammar_go_on_alone(grammars: Grammars) -> None:
    one, other = (grammars.change(Grammar("regex", "a|bc")) for _ in range(2))
    take(one, "a")

    assert one.is_over
    assert not other.is_over
    assert take(other, "bc").is_over


def test_forced_tokens_come_next(grammars: Grammars) -> None:
    change = grammars.change(Grammar("json_schema", '{"const": "good day"}'))
    forced = change.forced()
    for token in forced:
        assert {token} == allowed(change)
        change.take(token)

    assert '"good' in text_of(forced)


def test_only_grammars_used_lately_are_kept() -> None:
    grammars = Grammars(EMBEDDED, SIZE, EOS)
    for number in range(MOST_GRAMMARS + 5):
        grammars.change(Grammar("regex", "always"))
        grammars.change(Grammar("regex", f"a{number}"))

    assert len(grammars._compiled) == MOST_GRAMMARS
    assert Grammar("regex", "always") in grammars._compiled
    assert Grammar("regex", "a0") not in grammars._compiled


@pytest.mark.parametrize(
    ("kind", "text", "word"),
    [
        ("json_schema", "{", "line 1 column 2"),
        ("json_schema", "[]", "no JSON object"),
        ("json_schema", "false", "no JSON object"),
        ("json_schema", '{"type": "strin"}', "Invalid type: strin"),
        ("json_schema", '{"type": "array", "uniqueItems": true}', "uniqueItems"),
        ("json_schema", '{"enum": []}', "Unsatisfiable"),
        # The library pastes a schema into a list of grammars.
        ("json_schema", '{}}, {"lark_grammar": "start: foo"', "Extra data"),
        ("regex", "(", "unclosed group"),
        ("regex", r"(a)\1", "backreferences"),
        ("regex", "(?<=a)b", "look-around"),
        ("regex", r"\ba", "lookarounds not supported"),
        ("regex", "", "empty text"),
        ("lark", "start: foo", 'unknown name: "foo"'),
        ("lark", "", "no start rule"),
        ("lark", 'begin: "a"', "no start rule"),
        ("lark", "start: %json {", "line 1 column 15"),
        # The library takes a text that begins with a brace for a list of grammars.
        ("lark", '{"grammars": [{"json_schema": {}}]}', "1(1)"),
    ],
)
def test_a_malformed_grammar_is_refused_with_the_reason(
    grammars: Grammars, kind: GrammarKind, text: str, word: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        grammars.change(Grammar(kind, text))

    assert word in refused.value.why
    assert refused.value.fix


def test_a_refusal_quotes_little(grammars: Grammars) -> None:
    with pytest.raises(InvalidInput) as refused:
        grammars.change(Grammar("lark", "start: " + "secret" * 1000))

    assert len(refused.value.why) < 250


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("regex", "(" * 20_000),
        ("regex", "a" * 70_000),
        ("json_schema", '{"items": ' * 5000 + "{}" + "}" * 5000),
        ("json_schema", '{"type": "integer", "multipleOf": 999983}'),
        ("json_schema", '{"type": "integer", "multipleOf": 0.1234567}'),
        ("json_schema", '{"allOf": [{"type": "integer", "multipleOf": 997}, {"multipleOf": 991}]}'),
        ("json_schema", json.dumps({"type": "object", "patternProperties": {f"^{i}_": {} for i in range(400)}})),
        ("json_schema", json.dumps({"allOf": PRODUCT})),
        ("lark", 'start: %json {"multiple\\u004ff": 999983}'),
        ("lark", "start: " + "(" * 20_000),
    ],
)  # fmt: skip
def test_a_grammar_that_would_take_long_is_refused_quickly(grammars: Grammars, kind: GrammarKind, text: str) -> None:
    began = time.monotonic()
    with pytest.raises(InvalidInput):
        grammars.change(Grammar(kind, text))

    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("regex", "(a{1000}){1000}"),
        ("regex", "(a?){3000}a{3000}"),
        ("regex", "((a{0,1000}){0,1000}){0,1000}b"),
        ("regex", "(a*)*a*a*b"),
        ("lark", "start: r0\nr500: /a/ |\n" + "\n".join(f"r{i}: r{i + 1} r{i + 1} | r{i + 1}" for i in range(500))),
        ("lark", 'start: e\ne: e e | e e e | "a" |'),
    ],
)
def test_no_grammar_takes_long(grammars: Grammars, kind: GrammarKind, text: str) -> None:
    began = time.monotonic()
    try:
        change = grammars.change(Grammar(kind, text))
        for _ in range(20):
            change.take(IDS["a"])
    except InvalidInput:
        pass

    assert time.monotonic() - began < 3


def test_a_long_grammar_is_too_large(grammars: Grammars) -> None:
    with pytest.raises(TooLarge, match="65536"):
        grammars.change(Grammar("regex", "a" * 65_537))


def test_an_answer_that_reaches_the_limits_is_over_and_tells_why(grammars: Grammars) -> None:
    schema = {"type": "object", "properties": {f"p{i}": {} for i in range(600)}, "additionalProperties": False}
    change = take(grammars.change(Grammar("json_schema", json.dumps(schema))), "{")

    assert change.is_over
    assert isinstance(change.failure, InvalidInput)
    assert "items" in change.failure.why


def test_letters_that_the_model_has_no_tokens_for_are_refused() -> None:
    with pytest.raises(InvalidInput, match="No token of the model"):
        Grammars(EMBEDDED, 50, frozenset()).change(Grammar("regex", "[a-z]"))


def test_multiples_within_the_limit_work(grammars: Grammars) -> None:
    schema = {"type": "array", "items": {"type": "number", "multipleOf": 0.25}, "minItems": 3, "maxItems": 3}
    numbers = json.loads(text_of(generate(grammars.change(Grammar("json_schema", json.dumps(schema))), 3)))

    assert all(number % 0.25 == 0 for number in numbers)
