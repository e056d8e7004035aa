"""Finds the right word nearest to a wrong one, for error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, or None when none is close.

    >>> nearest("MAX_TOTEL_TOKENS", ["MAX_TOTAL_TOKENS", "MAX_INPUT_TOKENS"])
    'MAX_TOTAL_TOKENS'
    >>> nearest("zebra", ["temperature", "top_p"]) is None
    True
    """
    folded = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest known word, or else all of them when they are few; "" when neither helps.

    >>> did_you_mean("tempature", ["temperature", "top_p"])
    "Did you mean 'temperature'?"
    >>> did_you_mean("x", ["a", "b"])
    'Known: a, b.'
    """
    names = sorted(known)
    near = nearest(word, names)
    if near is not None:
        return f"Did you mean {near!r}?"
    return f"Known: {', '.join(names)}." if 0 < len(names) <= 12 else ""
