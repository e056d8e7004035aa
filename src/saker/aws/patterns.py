"""The models' regular expressions, written for Java, as Python understands them.

Where Python has no like class, a wider one stands for it: better to let a value through than to refuse what AWS takes.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

_SUBSTITUTES = (
    # letters, numbers, separators; marks, punctuation and symbols are all that is not a word's character
    (re.compile(r"\\p\{(?:L|N|Alnum|IsAlphabetic|IsDigit)\}"), r"\\w"),
    (re.compile(r"\\p\{(?:Z|Zs|IsWhite_Space)\}"), r"\\s"),
    (re.compile(r"\\p\{(?:M|P|S|Punct|IsPunctuation)\}"), r"\\W"),
    (re.compile(r"\\p\{Print\}"), r" -~"),
    (re.compile(r"\\p\{ASCII\}"), r"\\x00-\\x7f"),
    (re.compile(r"^\\P\{C\}"), r"[^\\x00-\\x1f\\x7f-\\x9f]"),
    # Java counts characters beyond the first 65,536 in two halves
    (re.compile(r"\\uD800\\uDC00-\\uDBFF\\uDFFF", re.IGNORECASE), r"\\U00010000-\\U0010ffff"),
    (re.compile(r"\[\\w-_"), r"[\\w\\-_"),
    # a slip in Q Business's model that nothing could match
    (re.compile(r"\$\}$"), r"$"),
)


@lru_cache(maxsize=4096)
def find_pattern(pattern: str) -> re.Pattern[str] | None:
    """The compiled pattern, to be matched against the full value; None when Python cannot express it."""
    for java, python in _SUBSTITUTES:
        pattern = java.sub(python, pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # "possible nested set": meant literally in Java too
            return re.compile(pattern)
    except re.error:
        return None
