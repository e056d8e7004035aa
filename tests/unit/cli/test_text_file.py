"""Texts from files and from standard input."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from saker.cli import text_file
from saker.cli.text_file import read_text
from saker.core.errors import InvalidInput, NotFound, SakerError, TooLarge


def write(folder: Path, content: bytes) -> str:
    path = folder / "text.txt"
    path.write_bytes(content)
    return str(path)


def error_of(file: str) -> SakerError:
    with pytest.raises(SakerError) as caught:
        read_text(file)
    return caught.value


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"one\ntwo\n", "one\ntwo"),  # the break that ends a file
        (b" one\n\n", " one\n"),  # only one of them
        (b"one\r\ntwo\r\n", "one\ntwo"),  # Windows
        (b"\xef\xbb\xbfone", "one"),  # a byte order mark
        ("Größe 日本".encode(), "Größe 日本"),
    ],
)
def test_a_file_is_read_as_a_model_would_have_written_it(tmp_path: Path, content: bytes, text: str) -> None:
    assert text == read_text(write(tmp_path, content))


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\n")))

    assert "one" == read_text("-")


@pytest.mark.parametrize("content", [b"", b"\n", b" \t\r\n"])
def test_nothing_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "is empty" in error_of(write(tmp_path, content)).what


@pytest.mark.parametrize("content", [b"ab\xff", b"%PDF\0", b"\x7fELF\x02\x01\x01\0"])
def test_a_binary_file_is_refused(tmp_path: Path, content: bytes) -> None:
    error = error_of(write(tmp_path, content))

    assert isinstance(error, InvalidInput)
    assert "UTF-8" in error.fix


def test_a_text_of_unlikely_length_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_file, "MAX_BYTES", 3)

    assert "abc" == read_text(write(tmp_path, b"abc"))
    assert isinstance(error_of(write(tmp_path, b"abcd")), TooLarge)


def test_a_missing_file_comes_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, b"one")
    error = error_of(str(tmp_path / "txet.txt"))

    assert isinstance(error, NotFound)
    assert "'text.txt'" in error.fix


@pytest.mark.parametrize("place", ["nowhere/a.txt", "text.txt/a.txt", "a\0b"])
def test_a_path_that_cannot_be_is_an_error_with_words(tmp_path: Path, place: str) -> None:
    write(tmp_path, b"one")

    assert error_of(str(tmp_path / place)).what


def test_a_folder_is_no_text(tmp_path: Path) -> None:
    assert "is a folder" in error_of(str(tmp_path)).what
