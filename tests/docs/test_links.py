"""Every relative link of the documentation leads somewhere, and every page can be reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.environment import ROOT
from support.markdown import anchors, links, page_name, pages

PAGES = {page_name(path): path for path in pages()}
EXTERNAL = ("https://", "http://", "mailto:")


def _relative_links(path: Path) -> list[str]:
    return [link for link in links(path.read_text(encoding="utf-8")) if not link.startswith(EXTERNAL)]


@pytest.mark.parametrize("name", PAGES)
def test_the_links_of_a_page_lead_somewhere(name: str) -> None:
    for link in _relative_links(PAGES[name]):
        target, _, anchor = link.partition("#")
        path = (PAGES[name].parent / target).resolve() if target else PAGES[name]

        assert path.exists(), link
        assert path.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), link


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            targets = (path.parent / link.partition("#")[0] for link in _relative_links(path))
            waiting += [target.resolve() for target in targets if target.suffix == ".md" and target.exists()]

    assert set(PAGES.values()) <= reached
