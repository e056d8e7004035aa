"""Finds stop strings in text that arrives piece by piece."""

from __future__ import annotations

from collections.abc import Sequence


class StopStrings:
    """Lets text through as soon as no stop string can begin in it any more.

    The stop string that is complete first wins, so the result does not depend on how the text was cut into pieces.

    >>> scanner = StopStrings(["END"])
    >>> scanner.feed("the E"), scanner.feed("N"), scanner.feed("D of it")
    ('the ', '', '')
    >>> scanner.is_found
    True
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.is_found = False

    def feed(self, text: str) -> str:
        """Take more text in; return what may be shown. After a hit this is "" for good."""
        if self.is_found:
            return ""
        if not self._stops:
            return text
        held = self._held + text
        cut = self._find(held)
        if cut is not None:
            self.is_found = True
            self._held = ""
            return held[:cut]
        keep = self._longest_beginning(held)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]

    def flush(self) -> str:
        """The text held back, when no more will come."""
        held, self._held = self._held, ""
        return held

    def _find(self, text: str) -> int | None:
        """Where the stop string begins that is complete first; of those that end together, the longest."""
        hits = [(start + len(stop), start) for stop in self._stops if (start := text.find(stop)) >= 0]
        return min(hits)[1] if hits else None

    def _longest_beginning(self, text: str) -> int:
        """How many last characters of the text begin a stop string."""
        for length in range(min(len(text), max(map(len, self._stops)) - 1), 0, -1):
            tail = text[-length:]
            if any(stop.startswith(tail) for stop in self._stops):
                return length
        return 0
