"""Tells whether Python's backtracking matcher may take exponential time over a pattern.

It may where a repeated group can read the same text in several ways: where a repetition inside it can go on with a
character with which what follows can also begin. The test errs on the side of caution. AWS's patterns are no secret,
and against some of them forty characters would stop the server.

Source: Weideman et al.: Analyzing Matching Time Behavior of Backtracking Regular Expression Matchers. CIAA 2016.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import _constants as op  # type: ignore[attr-defined]  # the parsed form has no public name
from re import _parser  # type: ignore[attr-defined]  # as above
from typing import Any

_FEW = 3
"""So many rounds of a group can only multiply the time."""

_ASCII = 128
_BEYOND = "\u0663é\u2003€"
"""A digit, a letter, a space and a symbol, which stand for all characters beyond ASCII. Sets have one bit for each."""
_KNOWN = [chr(code) for code in range(_ASCII)] + list(_BEYOND)
_ALL = (1 << len(_KNOWN)) - 1
_ALL_BEYOND = _ALL & ~((1 << _ASCII) - 1)

_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT)
_NESTED = (op.SUBPATTERN, op.ATOMIC_GROUP)


def may_explode(pattern: str) -> bool:
    """Whether some text could take exponential time; `pattern` must compile.

    >>> may_explode("([a-z]+)*"), may_explode("[a-z](-*[a-z]){0,62}")
    (True, False)
    """
    return any(_ambiguities(list(_parser.parse(pattern)), after=0, is_repeated=False))


def _ambiguities(items: list[Any], after: int, is_repeated: bool) -> Iterator[bool]:
    """True for each place of a sequence with two ways to go on; `after` holds the characters that can follow it."""
    for kind, argument in reversed(items):
        if kind in _REPEATS:
            least, most, inner = argument
            first = _first(inner)
            if is_repeated and least != most and first & after:
                yield True
            loops = is_repeated or most > _FEW
            yield from _ambiguities(list(inner), after | (first if most > 1 else 0), loops)
        elif kind in _NESTED:
            yield from _ambiguities(_inner(kind, argument), after, is_repeated)
        elif kind is op.BRANCH:
            ways = [_first(way) | (after if _can_be_empty(way) else 0) for way in argument[1]]
            yield is_repeated and _overlap(ways)
            for way in argument[1]:
                yield from _ambiguities(list(way), after, is_repeated)
        elif kind is op.GROUPREF:
            yield True
        after = _first([(kind, argument)]) | (after if _can_be_empty([(kind, argument)]) else 0)


def _inner(kind: Any, argument: Any) -> list[Any]:
    return list(argument[-1] if kind is op.SUBPATTERN else argument)


def _overlap(sets: list[int]) -> bool:
    seen = 0
    for characters in sets:
        if seen & characters:
            return True
        seen |= characters
    return False


def _first(items: Any) -> int:
    """The characters with which a sequence can begin."""
    found = 0
    for kind, argument in items:
        if kind in _REPEATS:
            found |= _first(argument[2])
        elif kind in _NESTED:
            found |= _first(_inner(kind, argument))
        elif kind is op.BRANCH:
            for way in argument[1]:
                found |= _first(way)
        else:
            found |= _characters(kind, argument)
        if not _can_be_empty([(kind, argument)]):
            break
    return found


def _can_be_empty(items: Any) -> bool:
    for kind, argument in items:
        if kind in _REPEATS:
            if argument[0] and not _can_be_empty(argument[2]):
                return False
        elif kind in _NESTED:
            if not _can_be_empty(_inner(kind, argument)):
                return False
        elif kind is op.BRANCH:
            if not any(_can_be_empty(way) for way in argument[1]):
                return False
        elif kind not in (op.AT, op.ASSERT, op.ASSERT_NOT):
            return False
    return True


def _characters(kind: Any, argument: Any) -> int:
    """The set of characters that a single item matches, as bits."""
    if kind in (op.AT, op.ASSERT, op.ASSERT_NOT):
        return 0
    if kind is op.LITERAL:
        return _bit(int(argument))
    if kind is op.NOT_LITERAL:
        return _ALL & ~_bit(int(argument)) | _ALL_BEYOND
    if kind is op.RANGE:
        low, high = (min(int(end), _ASCII) for end in argument)
        return ((1 << high) - (1 << low)) | _bit(int(argument[1])) | (_ALL_BEYOND if high == _ASCII else 0)
    if kind is op.IN:
        return _class(argument)
    if kind is op.CATEGORY:
        return _category(str(argument))
    return _ALL


def _bit(code: int) -> int:
    """The bit of a character, or of the one that stands for its like."""
    if code < _ASCII:
        return 1 << code
    like = next(at for at, form in enumerate((r"\d", r"\w", r"\s", r".")) if re.match(form, chr(code), re.DOTALL))
    return 1 << (_ASCII + like)


def _class(items: Any) -> int:
    found = 0
    is_negated = items[0][0] is op.NEGATE
    for kind, argument in items[1:] if is_negated else items:
        found |= _characters(kind, argument)
    # what a class names of the characters beyond ASCII is never all of its like
    return (_ALL & ~found) | _ALL_BEYOND if is_negated else found


def _category(name: str) -> int:
    letter = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[name.rpartition("_")[2]]
    found = sum(1 << bit for bit, character in enumerate(_KNOWN) if re.match(letter, character))
    return _ALL & ~found if "_NOT_" in name else found
