"""Looks at a model folder before anything is loaded, and refuses what would fail later or is unsafe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saker.core.errors import InvalidInput, NotFound
from saker.models import gguf, safetensors
from saker.models.base import EngineChoice, ModelFormat
from saker.models.config import check_config
from saker.models.files import list_files, read_json, total_bytes
from saker.models.layout import PICKLES, check_tokenizer, choose_weights, missing_config, missing_openvino_files


@dataclass(frozen=True)
class Checkpoint:
    """A model's files, found whole."""

    path: Path
    """The folder; for GGUF the file."""
    format: ModelFormat
    files: Mapping[str, int]
    """The files that are looked at and hashed: names relative to `folder`, and bytes."""
    config: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[str, ...] = ()
    """Those of the files that hold weights."""
    parameters: int = 0
    gguf: gguf.GgufHeader | None = None

    @property
    def folder(self) -> Path:
        """The folder that holds the files."""
        return self.path if self.path.is_dir() else self.path.parent

    @property
    def weights_bytes(self) -> int:
        """Bytes of the weight files."""
        return sum(self.files[name] for name in self.weights)

    @property
    def bytes_on_disk(self) -> int:
        """Bytes of all files."""
        return total_bytes(self.files)


def inspect(path: Path, engine: EngineChoice = "auto", *, trust_remote_code: bool = False) -> Checkpoint:
    """What lies at the path, checked as far as it can be without loading it. Blocks: reads headers and small files.

    Raises:
        NotFound: Nothing lies there.
        InvalidInput: Files are missing, damaged or unsafe.
        Unsupported: No engine here can load it.
    """
    if path.is_file():
        return _inspect_file(path)
    files = list_files(path)
    if "fake.json" in files or engine == "fake":
        return _fake(path, files)
    if "openvino_model.xml" in files and engine != "transformers":
        return _openvino(path, files)
    ggufs = [name for name in files if name.lower().endswith(".gguf")]
    if ggufs and "config.json" not in files and engine != "transformers":
        return _inspect_file(path / _the_only(ggufs))
    return _safetensors(path, files, trust_remote_code)


def _inspect_file(path: Path) -> Checkpoint:
    if path.suffix.lower() == ".gguf":
        header = gguf.read_header(path)
        gguf.check_readable(path.name, header)
        files = {path.name: path.stat().st_size}
        return Checkpoint(path, "gguf", files, weights=tuple(files), parameters=header.elements, gguf=header)
    if path.suffix == ".json":
        return _fake(path, {path.name: path.stat().st_size})
    raise InvalidInput(
        f"{str(path)!r} is a file that no engine loads.",
        why="A model is a folder, or a file that ends in .gguf.",
        fix=f"Name the folder {str(path.parent)!r}.",
    )


def _fake(path: Path, files: Mapping[str, int]) -> Checkpoint:
    if path.is_dir() and "fake.json" not in files:
        raise InvalidInput(f"{str(path)!r} is no model for the engine 'fake'.", why="It holds no file 'fake.json'.")
    read_json(path / "fake.json" if path.is_dir() else path)
    return Checkpoint(path, "fake", files)


def _openvino(path: Path, files: Mapping[str, int]) -> Checkpoint:
    lacking = missing_openvino_files(files)
    if lacking:
        raise InvalidInput(
            f"The OpenVINO model in {str(path)!r} is not complete.",
            why=f"Missing or empty: {', '.join(lacking)}.",
            fix="Copy the whole folder again, or export the model again together with its tokenizer.",
        )
    config = read_json(path / "config.json") if "config.json" in files else {}
    own = {name: size for name, size in files.items() if "/" not in name}
    return Checkpoint(path, "openvino", own, config, weights=("openvino_model.bin",))


def _safetensors(path: Path, files: Mapping[str, int], trust_remote_code: bool) -> Checkpoint:
    if "config.json" not in files:
        raise missing_config(str(path), list(files))
    config = read_json(path / "config.json")
    check_config(config, trust_remote_code=trust_remote_code)
    weights = choose_weights(path, files)
    check_tokenizer(files)
    parameters = 0
    for name in weights:
        parameters += sum(tensor.elements for tensor in safetensors.read_header(path / name).values())
    others = {n: s for n, s in files.items() if "/" not in n and not n.endswith((".safetensors", ".gguf", *PICKLES))}
    own = others | {name: files[name] for name in weights}
    return Checkpoint(path, "safetensors", own, config, weights, parameters)


def _the_only(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    shown = ", ".join(repr(name) for name in sorted(names)[:6])
    raise InvalidInput(f"The folder holds {len(names)} GGUF files.", why=f"They are {shown}.", fix="Name one of them.")


def check_path(path: Path) -> None:
    """Pass when something lies at the path.

    Raises:
        NotFound: Nothing does; names the nearest folder that exists.
    """
    if path.exists():
        return
    parent = next(folder for folder in path.parents if folder.exists())
    raise NotFound(
        f"There is no model at {str(path)!r}.",
        why=f"The path exists up to {str(parent)!r}.",
        fix="Check the path; it is seen from the platform's machine.",
    )
