"""The models' regular expressions, written for Java, as Python understands them.

Where Python has no like class, a wider one stands for it: better to let a value through than to refuse what AWS takes.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

from saker.aws.ambiguity import may_explode

_CLASSES = {
    **dict.fromkeys(("L", "N", "Alnum"), r"\w"),
    **dict.fromkeys(("Z", "Zs"), r"\s"),
    **dict.fromkeys(("M", "P", "S"), r"\W"),  # marks, punctuation and symbols are all not characters of words
    "Print": r"\x20-\x7e",
    "ASCII": r"\x00-\x7f",
}
_NOT_CONTROL = r"[^\x00-\x1f\x7f-\x9f]"
_TOKEN = re.compile(r"\\p\{(?P<positive>\w+)\}|\\P\{(?P<negative>\w+)\}|\\.|\[|\]", re.DOTALL)
_SLIPS = (
    # Java counts characters beyond the first 65,536 in two halves
    (re.compile(r"\\uD800\\uDC00-\\uDBFF\\uDFFF", re.IGNORECASE), r"\\U00010000-\\U0010ffff"),
    (re.compile(r"\[\\w-_"), r"[\\w\\-_"),
    # an end that is counted, and one with a brace behind it that nothing could match
    (re.compile(r"\$(?:\{\d+,\d+)?\}$"), r"$"),
)


@lru_cache(maxsize=4096)
def find_pattern(pattern: str) -> re.Pattern[str] | None:
    """The compiled pattern, to be matched against the full value.

    None when Python cannot express it, or when a value could be made that takes forever to match.
    """
    for java, python in _SLIPS:
        pattern = java.sub(python, pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # "possible nested set": meant literally in Java too
            compiled = re.compile(_translate(pattern))
            return None if may_explode(compiled.pattern) else compiled
    except re.error:
        return None


def _translate(pattern: str) -> str:
    """The pattern with Python's classes for Java's."""
    is_in_class = False

    def substitute(token: re.Match[str]) -> str:
        nonlocal is_in_class
        if token[0] in "[]":
            is_in_class = token[0] == "["
        if token[0] == r"\z":
            return r"\Z"
        if token["positive"] in _CLASSES:
            found = _CLASSES[token["positive"]]
            return found if is_in_class else f"[{found}]"
        return _NOT_CONTROL if token["negative"] == "C" and not is_in_class else token[0]

    return _TOKEN.sub(substitute, pattern)
