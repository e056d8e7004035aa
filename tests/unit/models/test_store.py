from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from saker.core.errors import InvalidInput, NotFound, Unavailable
from saker.models.base import Preparation, PreparedModel, Progress
from saker.models.environments import MARKER, EngineEnvironments, requirements_hash
from saker.models.source import ModelSource
from saker.models.store import ModelStore
from support.checkpoints import checkpoint_files, gguf_bytes, write_files


async def prepare(store: ModelStore, source: Path | str, **options: Any) -> PreparedModel:
    return await store.prepare(Preparation(ModelSource.parse(str(source)), **options), lambda p: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "mine", checkpoint_files())


async def test_the_embedded_model_needs_nothing(store: ModelStore, home: Path) -> None:
    prepared = await prepare(store, "embedded")

    assert ("paged", "openvino") == (prepared.engine, prepared.format)
    assert (prepared.path / "openvino_model.bin").stat().st_size == prepared.memory.weights_bytes
    assert not (home / "converted").exists()


async def test_safetensors_go_to_transformers_as_they_are(store: ModelStore, folder: Path) -> None:
    prepared = await prepare(store, folder, engine="transformers")

    assert (folder, "transformers", "safetensors") == (prepared.path, prepared.engine, prepared.format)
    assert sum(map(len, checkpoint_files().values())) == prepared.bytes_on_disk


async def test_a_fake_model_is_passed_through(store: ModelStore, tmp_path: Path) -> None:
    fake = write_files(tmp_path / "fake", {"fake.json": b"{}"})
    prepared = await prepare(store, fake)

    assert (fake, "fake", "fake") == (prepared.path, prepared.engine, prepared.format)


async def test_the_second_time_nothing_is_read_again(store: ModelStore, folder: Path) -> None:
    first = await prepare(store, folder, engine="transformers")
    heard: list[Progress] = []
    second = await store.prepare(Preparation(ModelSource.parse(str(folder)), engine="transformers"), heard.append)

    assert first == second
    assert [] == heard


async def test_a_new_store_remembers(store: ModelStore, folder: Path, home: Path, tmp_path: Path) -> None:
    first = await prepare(store, folder, engine="transformers")

    assert first == await prepare(
        ModelStore(home, EngineEnvironments(tmp_path / "engines")), folder, engine="transformers"
    )


async def test_a_changed_file_is_noticed(store: ModelStore, folder: Path) -> None:
    first = await prepare(store, folder, engine="transformers")
    write_files(folder, {"tokenizer.json": b'{"version": "2.0"}'})

    assert first.content_hash != (await prepare(store, folder, engine="transformers")).content_hash


async def test_equal_contents_have_equal_hashes_wherever_they_lie(
    store: ModelStore, folder: Path, tmp_path: Path
) -> None:
    copy = write_files(tmp_path / "copy", checkpoint_files())

    first = await prepare(store, folder, engine="transformers")

    assert first.content_hash == (await prepare(store, copy, engine="transformers")).content_hash


async def test_a_model_that_was_broken_meanwhile_is_refused(store: ModelStore, folder: Path) -> None:
    await prepare(store, folder, engine="transformers")
    os.truncate(folder / "model.safetensors", 100)

    with pytest.raises(InvalidInput, match="cut short"):
        await prepare(store, folder, engine="transformers")


async def test_a_damaged_record_is_passed_over(store: ModelStore, folder: Path, home: Path) -> None:
    first = await prepare(store, folder, engine="transformers")
    for record in (home / "records").iterdir():
        record.write_text("{")

    assert first == await prepare(store, folder, engine="transformers")


async def test_a_path_that_does_not_exist_is_not_found(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no model at"):
        await prepare(store, tmp_path / "nowhere")


async def test_a_gguf_file_keeps_its_place_and_gets_companions(store: ModelStore, tmp_path: Path) -> None:
    file = write_files(tmp_path / "g", {"m.gguf": gguf_bytes()}) / "m.gguf"
    prepared = await prepare(store, file)

    assert file == prepared.path.resolve()
    assert 128 == json.loads((prepared.path.parent / "config.json").read_text())["max_position_embeddings"]
    assert ["m.gguf"] == os.listdir(file.parent)


async def test_a_conversion_without_its_environment_names_the_command(store: ModelStore, folder: Path) -> None:
    with pytest.raises(Unavailable, match="`saker engines install torch`"):
        await prepare(store, folder)


async def test_a_conversion_that_does_not_fit_the_memory_is_refused(folder: Path, tmp_path: Path, home: Path) -> None:
    engines = tmp_path / "engines" / "torch"
    (engines / "bin").mkdir(parents=True)
    (engines / "bin" / "python").touch()
    (engines / MARKER).write_text(json.dumps({"requirements": requirements_hash("torch"), "versions": {"torch": "2"}}))
    store = ModelStore(home, EngineEnvironments(tmp_path / "engines"), available_bytes=lambda: 400_000_000)

    with pytest.raises(Unavailable, match=r"needs about 0\.6 GB, and 0\.4 GB are available"):
        await prepare(store, folder)


async def test_what_killed_processes_left_is_removed_at_the_start(home: Path, tmp_path: Path) -> None:
    write_files(home / "converted" / "work-1-abc", {"openvino_model.xml": b"half"})

    ModelStore(home, EngineEnvironments(tmp_path / "engines"))

    assert [] == os.listdir(home / "converted")
