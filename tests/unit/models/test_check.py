from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from saker.core.errors import InvalidInput, NotFound, SakerError, Unsupported
from saker.models.check import check_path, inspect
from support.checkpoints import CONFIG, checkpoint_files, gguf_bytes, safetensors_bytes, write_files

INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "model", checkpoint_files())


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(SakerError) as caught:
        inspect(path, **options)
    return str(caught.value)


def test_a_whole_checkpoint_passes_with_its_weights_counted(folder: Path) -> None:
    checkpoint = inspect(folder)

    assert "safetensors" == checkpoint.format
    assert ("model.safetensors",) == checkpoint.weights
    assert 512 * 64 + 64 == checkpoint.parameters
    assert set(checkpoint_files()) == set(checkpoint.files)


def test_shards_are_found_through_their_index(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    write_files(folder, {INDEX: json.dumps({"weight_map": {"a": "model-00001-of-00001.safetensors"}}).encode()})

    assert ("model-00001-of-00001.safetensors",) == inspect(folder).weights


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "The folder is empty."),
        ({"adapter_config.json": b"{}"}, "It is a LoRA adapter"),
        ({"model_index.json": b"{}"}, "It is a diffusion pipeline"),
        ({"params.json": b"{}", "consolidated.00.pth": b"x"}, "its maker's original format"),
        ({"nested/config.json": b"{}"}, "Its sub-folder 'nested' has one. Name that folder."),
        ({"a.txt": b"x", "b.txt": b"x"}, "It holds 'a.txt', 'b.txt'."),
    ],
)
def test_without_config_the_likely_cause_is_named(tmp_path: Path, files: dict[str, bytes], says: str) -> None:
    tmp_path.joinpath("model").mkdir()

    message = refusal(write_files(tmp_path / "model", files))

    assert "'config.json' is missing" in message
    assert says in message


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "weights.pkl", "last.ckpt"])
def test_pickled_weights_are_refused(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)

    assert f"pickled Python objects ('{name}')" in refusal(folder)


def test_pickles_beside_safetensors_lie_unused(folder: Path) -> None:
    write_files(folder, {"pytorch_model.bin": b"x"})

    assert "pytorch_model.bin" not in inspect(folder).files


def test_a_truncated_weights_file_is_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])

    assert "cut short or damaged" in refusal(folder)


def test_a_missing_shard_is_named(folder: Path) -> None:
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    content = {INDEX: json.dumps({"weight_map": shards}).encode(), shards["a"]: safetensors_bytes({"a": (1,)})}
    write_files(folder, content)

    assert "1 of 2 weight files are missing. The index names 'model-00002-of-00002.safetensors'" in refusal(folder)


def test_a_shard_outside_the_folder_counts_as_missing(folder: Path) -> None:
    write_files(folder, {INDEX: json.dumps({"weight_map": {"a": "../other.safetensors"}}).encode()})
    write_files(folder.parent, {"other.safetensors": safetensors_bytes({"a": (1,)})})

    assert "1 of 1 weight files are missing" in refusal(folder)


def test_a_missing_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()

    assert "The model has no tokenizer." in refusal(folder)


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "It is empty."), (b"{", "not valid JSON"), (b"[]", "It holds a list."), (b"[" * 100_000, "not valid JSON")],
)
def test_a_broken_config_is_refused(folder: Path, content: bytes, says: str) -> None:
    write_files(folder, {"config.json": content})

    assert says in refusal(folder)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"model_type": "lama"}, "Unknown architecture 'lama'. The engines"),
        ({"model_type": "lama"}, "Did you mean 'llama'?"),
        ({"model_type": None}, "'model_type' is missing"),
        ({"model_type": ["llama"]}, "'model_type' is missing or no text"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantized with GPTQ"),
        ({"quantization_config": {"quant_method": "awq"}}, "needs a CUDA GPU"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "quantized with bitsandbytes"),
        ({"model_type": "homemade", "auto_map": {"AutoModel": "m.Model"}}, "brings its own Python code"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "does not generate text"),
    ],
)
def test_configurations_that_no_engine_can_load_are_refused(folder: Path, config: dict[str, Any], says: str) -> None:
    write_files(folder, {"config.json": checkpoint_files(**config)["config.json"]})

    assert says in refusal(folder)


def test_code_that_a_library_makes_unnecessary_is_no_obstacle(folder: Path) -> None:
    write_files(folder, {"config.json": checkpoint_files(auto_map={"AutoModel": "m.Model"})["config.json"]})

    assert "safetensors" == inspect(folder).format


def test_trusted_code_lets_an_unknown_architecture_pass(folder: Path) -> None:
    homemade = {"model_type": "homemade", "auto_map": {"AutoModel": "m.Model"}}
    write_files(folder, {"config.json": checkpoint_files(**homemade)["config.json"], "m.py": b"x"})

    checkpoint = inspect(folder, trust_remote_code=True)

    assert "m.py" in checkpoint.files


def test_a_link_out_of_the_folder_is_refused(folder: Path) -> None:
    secret = folder.parent / "secret"
    secret.write_text("x")
    (folder / "notes.txt").symlink_to(secret)

    assert "The link 'notes.txt' leads out of the model folder." in refusal(folder)


def test_a_linked_folder_is_refused_too(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folder / "sub").symlink_to(tmp_path / "elsewhere")

    assert "The link 'sub' leads out" in refusal(folder)


def test_a_dangling_link_is_refused(folder: Path) -> None:
    (folder / "gone").symlink_to(folder / "nowhere")

    assert "leads nowhere" in refusal(folder)


def test_links_within_a_hugging_face_cache_are_followed(tmp_path: Path) -> None:
    blobs = write_files(tmp_path / "models--ada--m" / "blobs", checkpoint_files())
    snapshot = tmp_path / "models--ada--m" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for blob in blobs.iterdir():
        (snapshot / blob.name).symlink_to(blob)

    assert "safetensors" == inspect(snapshot).format


def test_an_unreadable_folder_says_so(folder: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("Root reads everything.")
    folder.chmod(0)
    try:
        assert "cannot be read" in refusal(folder)
    finally:
        folder.chmod(0o700)


def test_openvino_ir_is_preferred_where_it_is_complete(folder: Path) -> None:
    write_files(folder, {"openvino_model.xml": b"x", "openvino_model.bin": b"x"})

    assert "openvino" == inspect(folder).format
    assert "safetensors" == inspect(folder, "transformers").format


def test_incomplete_openvino_ir_names_what_it_lacks(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "ir", {"openvino_model.xml": b"x", "openvino_model.bin": b""})

    message = refusal(folder)

    assert "Missing or empty: openvino_model.bin, openvino_tokenizer.xml" in message


def test_a_gguf_file_or_a_folder_with_one_is_taken(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "g", {"m.gguf": gguf_bytes()})

    assert folder / "m.gguf" == inspect(folder).path
    assert "gguf" == inspect(folder / "m.gguf").format


def test_among_several_gguf_files_one_must_be_named(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "g", {"a.gguf": gguf_bytes(), "b.gguf": gguf_bytes()})

    assert "holds 2 GGUF files. They are 'a.gguf', 'b.gguf'. Name one of them." in refusal(folder)


def test_fake_models_pass_as_folder_and_as_file(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "f", {"fake.json": b"{}"})

    assert "fake" == inspect(folder).format == inspect(folder / "fake.json").format


def test_the_engine_fake_wants_its_file(folder: Path) -> None:
    assert "holds no file 'fake.json'" in refusal(folder, engine="fake")


def test_a_file_that_is_no_model_names_its_folder(folder: Path) -> None:
    assert f"Name the folder {str(folder)!r}." in refusal(folder / "model.safetensors")


def test_a_path_that_does_not_exist_is_named_as_far_as_it_does(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="The path exists up to"):
        check_path(tmp_path / "a" / "b")


def test_every_refusal_has_what_and_fix(folder: Path) -> None:
    for config in ({"model_type": "lama"}, {"quantization_config": {"quant_method": "awq"}}):
        write_files(folder, {"config.json": json.dumps(dict(CONFIG) | config).encode()})
        with pytest.raises((InvalidInput, Unsupported)) as caught:
            inspect(folder)
        assert caught.value.what
        assert caught.value.why
        assert caught.value.fix
