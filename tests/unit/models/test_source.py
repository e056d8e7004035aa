from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saker.core.errors import InvalidInput, SakerError, Unsupported
from saker.models.source import ModelSource


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("embedded", ModelSource("embedded", "")),
        ("/models/mine", ModelSource("folder", "/models/mine")),
        ("/models/mine.gguf", ModelSource("gguf", "/models/mine.gguf")),
        ("/models/mine.GGUF", ModelSource("gguf", "/models/mine.GGUF")),
        ("ada/model-1.5_b", ModelSource("hub", "ada/model-1.5_b")),
        ("gpt2", ModelSource("hub", "gpt2")),
        ("ada/model@v1", ModelSource("hub", "ada/model", "v1")),
        ("hf://ada/model", ModelSource("hub", "ada/model")),
        ("hf://ada/model@refs/pr/3", ModelSource("hub", "ada/model", "refs/pr/3")),
        ("hf://ada/model/q/m-Q8_0.gguf@main", ModelSource("hub", "ada/model", "main", "q/m-Q8_0.gguf")),
    ],
)
def test_each_kind_of_source_is_told_apart(text: str, expected: ModelSource) -> None:
    assert expected == ModelSource.parse(text)


def test_a_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")

    assert ModelSource("folder", "/home/ada/mine") == ModelSource.parse("~/mine")


def test_a_revision_beside_the_id_is_taken_and_one_in_it_wins() -> None:
    assert ModelSource.parse("ada/model", revision="v1").revision == "v1"
    assert ModelSource.parse("ada/model@v2", revision="v1").revision == "v2"


def test_a_relative_path_starts_where_the_caller_says(tmp_path: Path) -> None:
    assert ModelSource("folder", str(tmp_path / "mine")) == ModelSource.parse("./mine", relative_to=tmp_path)


def test_a_folder_that_exists_wins_over_a_hub_id(tmp_path: Path) -> None:
    (tmp_path / "ada" / "model").mkdir(parents=True)

    assert ModelSource.parse("ada/model", relative_to=tmp_path).kind == "folder"
    assert ModelSource.parse("ada/other", relative_to=tmp_path).kind == "hub"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "No model was named"),
        ("  ", "No model was named"),
        ("./mine", "relative path"),
        ("..", "relative path"),
        ("mine.gguf", "relative path"),
        ("embeded", "Did you mean 'embedded'?"),
        ("a/b/c", "not a model source"),
        ("ada/mod el", "not a model source"),
        ("ada/mo..del", "not a model source"),
        ("ada/model--x", "not a model source"),
        ("hf://", "not a model source"),
        ("ada/model@../x", "not a hub revision"),
        ("ftp://ada/model", "Unknown kind of model source 'ftp://'"),
        ("https://huggingface.co/ada/model", "Name the hub id: 'ada/model'"),
        ("ada/model\n", "control characters"),
        ("a" * 5000, "too long"),
        ("a" * 97, "at most 96 characters"),
    ],
)
def test_what_is_no_source_is_refused_with_guidance(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says.replace("?", r"\?").replace(".", r"\.")):
        ModelSource.parse(text)


def test_s3_is_understood_and_refused() -> None:
    with pytest.raises(Unsupported, match="S3 sources come with the S3 door"):
        ModelSource.parse("s3://bucket/model/")


@given(st.text(max_size=200))
def test_any_text_gives_a_source_or_a_platform_error(text: str) -> None:
    try:
        source = ModelSource.parse(text)
    except SakerError:
        return

    assert source.kind == "embedded" or source.location


@given(st.from_regex(r"[a-z0-9]{1,10}/[a-z0-9]{1,10}(@[a-z0-9]{1,10})?", fullmatch=True))
def test_a_source_reads_back_from_its_own_text(text: str) -> None:
    source = ModelSource.parse(text)

    assert source == ModelSource.parse(str(source))
