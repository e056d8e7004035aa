"""Every example of the documentation runs, in order, against a real platform."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from support.markdown import EXECUTED, SHOWN, Block, page_name, pages, read_blocks
from support.reader import CLIENTS, Reader

ALL = [block for path in pages() for block in read_blocks(page_name(path), path.read_text(encoding="utf-8"))]
EXAMPLES = [block for block in ALL if block.language in EXECUTED]
NEEDS_CLIENTS = re.compile(r"\baws |\bboto3\b|\bopenai\b")


@pytest.fixture(scope="module")
def reader_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Reader]]:
    """Gives the reader of a page. Turning to another page ends the one before."""
    readers: dict[str, Reader] = {}

    def close_all() -> None:
        while readers:
            readers.popitem()[1].close()

    def turn_to(page: str) -> Reader:
        if page not in readers:
            close_all()
            readers[page] = Reader(tmp_path_factory.mktemp("reader"))
        return readers[page]

    yield turn_to
    close_all()


@pytest.mark.real
@pytest.mark.parametrize("block", EXAMPLES, ids=str)
def test_an_example_does_what_its_page_says(reader_of: Callable[[str], Reader], block: Block) -> None:
    reader = reader_of(block.page)
    if block.not_run:
        pytest.skip(f"not run: {block.not_run}")
    if reader.stuck_at is not None:
        pytest.skip(f"{reader.stuck_at} failed, and the page may need it")
    if NEEDS_CLIENTS.search(block.text) and not (CLIENTS / "aws").exists():
        pytest.skip("The clients are not installed (make test-clients).")

    reader.run(block)


@pytest.mark.parametrize("block", ALL, ids=str)
def test_every_block_names_a_language_that_is_run_or_only_shown(block: Block) -> None:
    """A block in a language that nobody knows would be an example that nobody runs."""
    assert block.language in EXECUTED + SHOWN


def test_examples_that_are_not_run_are_few() -> None:
    skipped = [block for block in EXAMPLES if block.not_run]

    assert len(EXAMPLES) / 4 >= len(skipped)
