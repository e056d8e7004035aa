"""The example runner notices what it must: a runner that runs nothing would let every page pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.console import Console, matches, read_console
from support.markdown import Block, read_blocks
from support.reader import Reader


@pytest.fixture
def console(tmp_path: Path) -> Console:
    """A console in a folder of its own."""
    return Console({"PATH": "/usr/bin:/bin"}, tmp_path)


def test_what_a_block_exports_is_there_for_the_next(console: Console) -> None:
    console.bash("export A=1; mkdir inner; cd inner")

    assert (0, f"1 {console.environment['PWD']}\n") == console.bash('echo "$A $(pwd)"')
    assert console.environment["PWD"].endswith("inner")


def test_a_block_fails_with_its_first_failing_command(console: Console) -> None:
    assert (1, "a\n") == console.bash("echo a\nfalse | cat\necho b")


def test_a_console_must_show_what_is_written_there(console: Console, tmp_path: Path) -> None:
    reader = Reader(tmp_path, console)

    reader.run(Block("a.md", 1, "console", "$ echo one two\none ...\n"))
    with pytest.raises(AssertionError, match="expected"):
        reader.run(Block("a.md", 5, "console", "$ echo one\ntwo\n"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$ false\nError: no\n", True),
        ("$ false\n", False),
        ("$ aws x\n\nAn error occurred (ValidationException)\n", True),
    ],
)
def test_a_command_shown_with_an_error_must_fail(text: str, expected: bool) -> None:
    (command,) = read_console(text)

    assert expected == command.fails


def test_output_is_compared_whole() -> None:
    assert matches("a ... c", "a  b\nc\n")
    assert not matches("a\n", "a\nb\n")


@pytest.mark.parametrize("text", ["```bash\ntrue\n", "<!-- not run: why -->\n\ntext\n"])
def test_a_page_that_would_hide_an_example_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a\.md:"):
        read_blocks("a.md", text)
