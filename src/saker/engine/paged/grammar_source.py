"""Brings a caller's grammar into the library's format, and refuses what would keep the library busy for minutes.

The library bounds the work that a grammar makes, with two exceptions, which are bounded here: patterns of property
names, which it compares each with each, and divisors, for which it walks through all remainders.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

from llguidance import LLMatcher, regex_to_lark

from saker.core.errors import InvalidInput, TooLarge
from saker.engine.messages import Grammar, GrammarKind

MOST_BYTES = 64 * 1024
MOST_PATTERNS = 20
"""In all `patternProperties` of a schema together. 400 take half a minute."""
MOST_MULTIPLE = 10_000
"""The least number that all `multipleOf` of a schema divide. A hundred times as much takes seconds and 400 MB."""
MOST_REASON = 200
"""Characters of the library's own words in an error: it quotes the grammar."""

WHITESPACE = " "
"""What may stand between the tokens of JSON, once: as with text-generation-inference, since weak models that may break
lines or indent go on with it until their tokens are used up."""

_FIXES = {
    "json_schema": "See https://github.com/guidance-ai/llguidance/blob/main/docs/json_schema.md for what is supported.",
    "regex": "Write it as https://docs.rs/regex has it, without look-around, word boundaries and back-references.",
    "lark": "See https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md for the syntax.",
}


def to_library(grammar: Grammar) -> str:
    """What LLMatcher takes.

    Raises:
        InvalidInput: A schema is no JSON object, or the grammar is too large or too costly. Whether a regular
            expression or a grammar is well-formed shows only when it is compiled.
    """
    size = len(grammar.text.encode())
    if size > MOST_BYTES:
        raise TooLarge(
            f"The grammar has {size} bytes.", why=f"At most {MOST_BYTES} are allowed.", fix="Leave out what it repeats."
        )
    try:
        return _TRANSLATIONS[grammar.kind](grammar.text)
    except RecursionError as error:
        raise refusal(grammar.kind, "It is nested too deeply") from error
    except ValueError as error:
        raise refusal(grammar.kind, str(error)) from error


def refusal(kind: GrammarKind, message: str) -> InvalidInput:
    """For a grammar that is not used, for a reason in the library's words."""
    return InvalidInput(f"The grammar of kind {kind!r} cannot be used.", why=f"{reason(message)}.", fix=_FIXES[kind])


def reason(message: str) -> str:
    """What the library means, in one line without a full stop: it tells at length where, and quotes the grammar."""
    error = re.search(r"^error: (.*)", message, re.MULTILINE)
    found = error[1] if error else message.strip().partition("\n")[0].rpartition("(in regex): ")[2]
    return found[:MOST_REASON].rstrip(" .")


def _from_schema(text: str) -> str:
    schema = json.loads(text)
    if schema is True:
        text = "{}"
    elif not isinstance(schema, dict):
        raise ValueError("It is no JSON object")
    _check_costs([schema])
    return LLMatcher.grammar_from_json_schema(text, defaults={"whitespace_pattern": WHITESPACE})


def _from_lark(text: str) -> str:
    decoder = json.JSONDecoder()
    _check_costs(decoder.raw_decode(text, found.end())[0] for found in re.finditer(r"%json\s*", text))
    # Wrapped, as the library takes a bare text that begins with a brace for a list of grammars.
    return json.dumps({"grammars": [{"lark_grammar": text}]})


def _from_regex(text: str) -> str:
    # Digits are 0 to 9, as in JSON schemas, not those of all scripts.
    return json.dumps({"grammars": [{"lark_grammar": f"start: /{regex_to_lark(text, 'd')}/"}]})


_TRANSLATIONS = {"json_schema": _from_schema, "regex": _from_regex, "lark": _from_lark}


def _check_costs(schemas: Iterable[object]) -> None:
    patterns, multiple = 0, 1
    for node in _objects(schemas):
        named = node.get("patternProperties")
        patterns += len(named) if isinstance(named, dict) else 0
        multiple = math.lcm(multiple, _numerator(node.get("multipleOf")))
        if patterns > MOST_PATTERNS:
            raise ValueError(f"It has more than {MOST_PATTERNS} 'patternProperties'")
        if multiple > MOST_MULTIPLE:
            raise ValueError(f"The least common multiple of its 'multipleOf' is above {MOST_MULTIPLE}")


def _objects(schemas: Iterable[object]) -> Iterator[dict[str, Any]]:
    """All JSON objects, however deep."""
    waiting = list(schemas)
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _numerator(number: object) -> int:
    """Of the reduced fraction; 1 for what is no number, and for 0."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return 1
    return Fraction(str(number)).numerator or 1
