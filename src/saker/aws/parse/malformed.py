"""How the readers say that a request cannot be read; `parse` gives it the caller's code."""

from __future__ import annotations

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


class at:  # noqa: N801  # reads as a word: with at("Tags"): …
    """Names the member that is being read, for the error of whoever reads inside."""

    __slots__ = ("_step",)

    def __init__(self, step: str) -> None:
        self._step = step

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, MalformedInput):
            error.path.insert(0, self._step)
