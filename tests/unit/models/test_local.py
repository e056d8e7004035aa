"""Tokenizers of models that are on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from saker.core.errors import InvalidInput, NotFound, SakerError, Unsupported
from saker.models.local import find_tokenizer
from saker.models.source import ModelSource
from saker.models.store import EMBEDDED

HASHES = ("0123456789abcdef", "fedcba9876543210")


def write_model(folder: Path, tokenizer: str | None = "{}") -> Path:
    folder.mkdir(parents=True)
    if tokenizer is not None:
        (folder / "tokenizer.json").write_text(tokenizer)
    return folder


def find(model: str, home: Path) -> Path:
    """With downloads and a working folder below `home`."""
    here = home / "here"
    here.mkdir(exist_ok=True)
    return find_tokenizer(ModelSource.parse(model, relative_to=here), home / "downloads", here)


def error_of(model: str, home: Path) -> SakerError:
    with pytest.raises(SakerError) as caught:
        find(model, home)
    return caught.value


def test_the_embedded_model_is_always_here(tmp_path: Path) -> None:
    assert EMBEDDED == find("embedded", tmp_path)


def test_a_folder_is_itself(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "here" / "mine")

    assert folder == find("mine", tmp_path) == find("./mine", tmp_path) == find(str(folder), tmp_path)


def test_a_hub_id_is_found_among_the_downloads(tmp_path: Path) -> None:
    write_model(tmp_path / "downloads" / f"org--model-chat-{HASHES[0]}")
    write_model(tmp_path / "downloads" / "org--model-0123456789ab.partial")
    folder = write_model(tmp_path / "downloads" / f"org--model-{HASHES[0]}")

    assert folder == find("org/model", tmp_path) == find("hf://org/model@main", tmp_path)


def test_downloads_with_equal_tokenizers_are_one(tmp_path: Path) -> None:
    folders = [write_model(tmp_path / "downloads" / f"org--model-{hash}") for hash in HASHES]

    assert find("org/model", tmp_path) in folders


def test_downloads_whose_tokenizers_differ_must_be_told_apart(tmp_path: Path) -> None:
    folders = [write_model(tmp_path / "downloads" / f"org--model-{hash}", f'"{hash}"') for hash in HASHES]
    error = error_of("org/model", tmp_path)

    assert isinstance(error, InvalidInput)
    assert all(str(folder) in error.why for folder in folders)


def test_a_model_that_is_not_here_comes_with_the_way_to_get_it(tmp_path: Path) -> None:
    error = error_of("org/model", tmp_path)

    assert isinstance(error, NotFound)
    assert "saker deploy org/model" in error.fix
    assert "Did you mean" not in error.fix


@pytest.mark.parametrize(("typed", "meant"), [("org/modle", "org/model'"), ("mien", "mine'"), ("./mien", "mine'")])
def test_a_misspelt_model_comes_with_the_nearest(tmp_path: Path, typed: str, meant: str) -> None:
    write_model(tmp_path / "downloads" / f"org--model-{HASHES[0]}")
    write_model(tmp_path / "here" / "mine")
    error = error_of(typed, tmp_path)

    assert isinstance(error, NotFound)
    assert "Did you mean" in error.fix
    assert meant in error.fix


@pytest.mark.parametrize("model", ["q4.gguf", "/models/q4.gguf", "org/model/q4.gguf"])
def test_a_gguf_file_has_none(tmp_path: Path, model: str) -> None:
    assert isinstance(error_of(model, tmp_path), Unsupported)


@pytest.mark.parametrize("place", ["here/old", f"downloads/org--old-{HASHES[0]}"])
def test_a_model_without_a_tokenizer_json_says_how_to_write_one(tmp_path: Path, place: str) -> None:
    write_model(tmp_path / place, None)
    error = error_of("old" if place.startswith("here") else "org/old", tmp_path)

    assert isinstance(error, Unsupported)
    assert "save_pretrained" in error.fix
