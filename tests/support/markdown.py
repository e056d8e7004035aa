"""Finds the fenced code blocks, links and headings of the Markdown pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.environment import ROOT

EXECUTED = ("bash", "console", "python")
"""Languages of blocks that are run. In "console", lines after `$ ` are run and the others are the output expected."""
SHOWN = ("json", "mermaid", "nginx", "text", "toml")
"""Languages of blocks that are only looked at."""

_FENCE = re.compile(r"(?P<indent>\s*)```(?P<language>\w*)\s*")
_NOT_RUN = re.compile(r"\s*<!-- not run: (?P<reason>.+) -->\s*")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"#{1,6} (?P<text>.+)")


@dataclass(frozen=True)
class Block:
    """One fenced code block."""

    page: str
    """Relative to the repository."""
    line: int
    language: str
    text: str
    not_run: str = ""
    """Why it is not run here; empty when it is."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """The pages that people read: those at the top of the repository, and the documentation."""
    return sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))


def page_name(path: Path) -> str:
    """A page's path in the repository."""
    return path.relative_to(ROOT).as_posix()


def read_blocks(page: str, text: str) -> list[Block]:
    """The code blocks of a page, in order.

    Raises:
        ValueError: A block is not closed, or a `not run` comment does not stand right before a block.

    >>> read_blocks("a.md", "Text\\n<!-- not run: it downloads -->\\n```bash\\nmake\\n```\\n")
    [Block(page='a.md', line=3, language='bash', text='make\\n', not_run='it downloads')]
    """
    blocks: list[Block] = []
    lines = iter(enumerate(text.splitlines(), start=1))
    reason = ""
    for number, line in lines:
        fence = _FENCE.fullmatch(line)
        if fence is not None:
            content = "".join(f"{inner}\n" for inner in _until_closed(page, number, lines, fence["indent"]))
            blocks.append(Block(page, number, fence["language"], content, reason))
        elif reason:
            raise ValueError(f"{page}:{number}: a `not run` comment must stand right before a code block")
        found = _NOT_RUN.fullmatch(line)
        reason = found["reason"] if found is not None else ""
    return blocks


def _until_closed(page: str, begin: int, lines: Iterator[tuple[int, str]], indent: str) -> Iterator[str]:
    for _, line in lines:
        if line.strip() == "```":
            return
        yield line.removeprefix(indent)
    raise ValueError(f"{page}:{begin}: the code block is not closed")


def prose(text: str) -> str:
    """The page without its code blocks."""
    kept: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            inside = not inside
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def links(text: str) -> list[str]:
    """The targets of a page's links."""
    return [match["target"] for match in _LINK.finditer(prose(text))]


def anchors(text: str) -> set[str]:
    """The names under which a page's headings can be linked to, as GitHub makes them.

    >>> sorted(anchors("# The first answer\\n## `saker up`, and down\\n"))
    ['saker-up-and-down', 'the-first-answer']
    """
    found = (_HEADING.fullmatch(line) for line in prose(text).splitlines())
    return {re.sub(r"[^\w\- ]", "", match["text"].lower()).replace(" ", "-") for match in found if match}
