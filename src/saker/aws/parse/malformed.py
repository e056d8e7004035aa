"""How the readers say that a request cannot be read; `parse` gives it the caller's code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

MAX_DEPTH = 100
"""Structures, lists and maps within each other; AWS's own shapes need about ten."""


class MalformedInput(ValueError):
    """Some part of a request is not what its shape says."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        """Without any value from the request: it may be a secret."""
        self.path: list[str] = []
        """From the outermost member to the wrong one."""
        super().__init__(reason)


@contextmanager
def at(step: str) -> Iterator[None]:
    """Names the member that is being read, for the error of whoever reads inside."""
    try:
        yield
    except MalformedInput as error:
        error.path.insert(0, step)
        raise
