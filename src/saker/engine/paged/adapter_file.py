"""Reads LoRA adapters in PEFT's format, and refuses what would answer otherwise than it was trained to.

Nothing but the two files is read, and only numbers from them: no pickle, so an adapter cannot bring code along.

Source: https://huggingface.co/docs/peft/developer_guides/checkpoint.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from saker.core.errors import InvalidInput, Unsupported
from saker.engine.config import read_json
from saker.engine.paged.tensor_file import Matrix, read_header

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

_BEYOND_LORA = (
    *("use_dora", "use_qalora", "use_bdlora", "lora_bias", "modules_to_save", "layer_replication"),
    *("target_parameters", "trainable_token_indices", "alora_invocation_tokens", "arrow_config"),
)
"""PEFT's options that make more, or something else, of an adapter than two matrices beside a layer."""

_HARMLESS_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")
"""How training began. All others (PiSSA, OLoRA, …) change the model's own weights too."""

_KEY = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")


class _Config(msgspec.Struct, frozen=True):
    peft_type: str = ""
    r: int = 8
    lora_alpha: float = 8
    use_rslora: bool = False
    bias: str | None = None
    init_lora_weights: bool | str | None = None
    rank_pattern: dict[str, int] | None = None
    alpha_pattern: dict[str, float] | None = None


@dataclass(frozen=True)
class Update:
    """What an adapter adds to one layer: x goes down to a few numbers, and up again to the layer's outputs."""

    down: Matrix
    """[rank, inputs], PEFT's lora_A."""
    up: Matrix
    """[outputs, rank], PEFT's lora_B."""
    scale: float

    @property
    def rank(self) -> int:
        """How many numbers lie between."""
        return self.down.shape[0]


def read_adapter(folder: Path) -> dict[str, Update]:
    """What the adapter of a folder adds to which layers, by the model's own names for them. Reads no matrix yet.

    Raises:
        InvalidInput: A file is missing or damaged.
        Unsupported: It is no plain LoRA.
    """
    config = _read_config(folder)
    if not (folder / WEIGHTS).is_file():
        raise _without_weights(folder)
    found: dict[str, dict[str, Matrix]] = {}
    for key, matrix in read_header(folder / WEIGHTS).items():
        match = _KEY.fullmatch(key)
        if match is None:
            raise Unsupported(
                f"The adapter {folder.name!r} holds {key!r}.",
                why="Only lora_A and lora_B of linear layers are honoured.",
                fix="Train it without embeddings, biases and DoRA.",
            )
        found.setdefault(match[1], {})[match[2]] = matrix
    if not found:
        raise InvalidInput(f"The adapter {folder.name!r} is empty.", why=f"{WEIGHTS!r} holds no tensor.")
    return {module: _update(folder, config, module, matrices) for module, matrices in found.items()}


def _read_config(folder: Path) -> _Config:
    raw = read_json(folder / CONFIG)
    if not raw:
        raise InvalidInput(
            f"There is no adapter in {folder.name!r}.",
            why=f"{CONFIG!r} is missing or empty.",
            fix="Name the folder that `save_pretrained` of PEFT wrote.",
        )
    try:
        config = msgspec.convert(raw, _Config)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"The {CONFIG!r} of the adapter {folder.name!r} is damaged.", why=f"{error}.") from error
    if config.peft_type != "LORA":
        raise Unsupported(
            f"The adapter {folder.name!r} has the type {config.peft_type!r}.", fix="Only adapters of type 'LORA' run."
        )
    used: list[str] = [name for name in _BEYOND_LORA if raw.get(name)]
    used += ["bias"] if config.bias not in (None, "none") else []
    used += ["init_lora_weights"] if config.init_lora_weights not in _HARMLESS_STARTS else []
    if used:
        raise Unsupported(
            f"The adapter {folder.name!r} sets {', '.join(map(repr, used))}.",
            why="That changes more than a plain LoRA does, and its answers would be wrong here.",
            fix="Merge it into its model, or train it without.",
        )
    return config


def _without_weights(folder: Path) -> InvalidInput:
    if (folder / "adapter_model.bin").exists():
        return Unsupported(
            f"The adapter {folder.name!r} is a pickle, 'adapter_model.bin'.",
            why="Reading a pickle can run code.",
            fix="Load it with PEFT where you trust it, and `save_pretrained` it as safetensors.",
        )
    return InvalidInput(f"The adapter {folder.name!r} has no weights.", why=f"{WEIGHTS!r} is missing.")


def _update(folder: Path, config: _Config, module: str, matrices: Mapping[str, Matrix]) -> Update:
    down, up = matrices.get("A"), matrices.get("B")
    ranks = {config.r, *(config.rank_pattern or {}).values()}
    if down is None or up is None or len(down.shape) != 2 or len(up.shape) != 2 or down.shape[0] != up.shape[1]:
        raise InvalidInput(
            f"The adapter {folder.name!r} is damaged at {module!r}.",
            why="Its lora_A and lora_B are no two matrices of one rank.",
        )
    if down.shape[0] not in ranks or not down.shape[0]:
        raise InvalidInput(
            f"The adapter {folder.name!r} has the rank {down.shape[0]} at {module!r}.",
            why=f"Its {CONFIG!r} names only {', '.join(map(str, sorted(ranks)))}.",
        )
    rank = math.sqrt(down.shape[0]) if config.use_rslora else down.shape[0]
    return Update(down, up, _alpha(folder, config, module) / rank)


def _alpha(folder: Path, config: _Config, module: str) -> float:
    """The pattern's alpha whose key is the module's name or its end; PEFT takes the first, too."""
    for key, alpha in (config.alpha_pattern or {}).items():
        name = key.removeprefix("^")
        if not re.fullmatch(r"[\w.]+", name):  # a regular expression from a file could take for ever
            raise Unsupported(
                f"The adapter {folder.name!r} has the regular expression {key!r} in 'alpha_pattern'.",
                fix="Name the modules there.",
            )
        if module == name or (name == key and module.endswith(f".{name}")):
            return alpha
    return config.lora_alpha
