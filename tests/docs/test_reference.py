"""The generated pages of the reference say what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from support.environment import ROOT

TOOLS = ROOT / "tools"
REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of tools, from which they import each other."""
    monkeypatch.syspath_prepend(TOOLS)
    return TOOLS


def _names() -> list[str]:
    return sorted(path.name for path in REFERENCE.glob("*.md"))


@pytest.mark.parametrize("name", _names())
def test_a_generated_page_is_up_to_date(name: str, tools: Path) -> None:
    pages = runpy.run_path(str(tools / "make_reference.py"))["PAGES"]

    assert pages[name]() == (REFERENCE / name).read_text(encoding="utf-8"), "Run `make docs` and commit the result."


def test_every_generated_page_is_there(tools: Path) -> None:
    pages = runpy.run_path(str(tools / "make_reference.py"))["PAGES"]

    assert sorted(pages) == _names()
