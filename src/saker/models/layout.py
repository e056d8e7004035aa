"""Which files a safetensors model consists of, and what it most likely is when some are missing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from saker.core.errors import InvalidInput
from saker.models.files import read_json

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
INDEX = "model.safetensors.index.json"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.txt", "sentencepiece.bpe.model")


def choose_weights(path: Path, files: Mapping[str, int]) -> tuple[str, ...]:
    """The safetensors files that make up the model.

    Raises:
        InvalidInput: There are none, or one that the index names is missing.
    """
    if INDEX in files:
        return _shards(path, files)
    if "model.safetensors" in files:
        return ("model.safetensors",)
    raise missing_weights(str(path), list(files))


def _shards(path: Path, files: Mapping[str, int]) -> tuple[str, ...]:
    weight_map = read_json(path / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise InvalidInput(f"{INDEX!r} names no weights.", why="Its 'weight_map' is missing or empty.")
    shards = sorted({str(name) for name in weight_map.values()})
    missing = [name for name in shards if name not in files]
    if missing:
        raise InvalidInput(
            f"The model in {str(path)!r} is not complete: {len(missing)} of {len(shards)} weight files are missing.",
            why=f"The index names {missing[0]!r}, which is not there.",
            fix="Copy or download the missing files.",
        )
    return tuple(shards)


def check_tokenizer(files: Mapping[str, int]) -> None:
    """Pass when the files include a tokenizer.

    Raises:
        InvalidInput: They do not.
    """
    if any(files.get(name) for name in TOKENIZERS) or {"vocab.json", "merges.txt"} <= set(files):
        return
    raise InvalidInput(
        "The model has no tokenizer.",
        why=f"None of {', '.join(TOKENIZERS)} nor the pair vocab.json and merges.txt is there.",
        fix="Copy tokenizer.json and tokenizer_config.json beside the weights; the base model's repository has them.",
    )


def missing_openvino_files(files: Mapping[str, int]) -> list[str]:
    """What a folder with OpenVINO IR lacks to be served; empty when it is complete."""
    needed = ["openvino_model.xml", "openvino_model.bin"]
    if not files.get("tokenizer.json"):
        needed += [f"openvino_{part}.{end}" for part in ("tokenizer", "detokenizer") for end in ("xml", "bin")]
    return [name for name in needed if not files.get(name)]


def missing_config(where: str, files: list[str]) -> InvalidInput:
    """The error for a place without config.json: what is there instead, and what that most likely means."""
    why, fix = _likely_cause(files)
    return InvalidInput(f"{where!r} holds no model: 'config.json' is missing.", why=why, fix=fix)


def missing_weights(where: str, files: list[str]) -> InvalidInput:
    """The error for a place without safetensors weights."""
    pickles = sorted(name for name in files if name.lower().endswith(PICKLES))
    if pickles:
        return InvalidInput(
            f"The weights in {where!r} are pickled Python objects ({pickles[0]!r}), which Saker does not load.",
            why="Loading a pickle runs whatever code is in it.",
            fix="Use a revision with .safetensors files, or convert them where you trust them: "
            "model.save_pretrained(folder).",
        )
    if "openvino_model.xml" in files:
        return InvalidInput(
            f"{where!r} holds OpenVINO IR and no safetensors weights.",
            why="Only the engine 'genai' reads that.",
            fix="Deploy it with the engine 'genai' or 'auto', or name the original model.",
        )
    seen = sorted(name for name in files if name.endswith(".safetensors"))
    return InvalidInput(
        f"{where!r} holds no weights: 'model.safetensors' and {INDEX!r} are missing.",
        why=f"Of its {len(files)} files, {', '.join(map(repr, seen[:3])) or 'none'} end in .safetensors.",
        fix="Name the folder that `save_pretrained` wrote.",
    )


def _likely_cause(files: list[str]) -> tuple[str, str]:
    names = set(files)
    if not files:
        return "The folder is empty.", "Check the path."
    if "adapter_config.json" in names:
        return (
            "It is a LoRA adapter, which has no weights of its own.",
            "Merge it into its base model (peft: merge_and_unload, save_pretrained) and name the result.",
        )
    if "model_index.json" in names:
        return "It is a diffusion pipeline, which makes images.", "Name a language model."
    if "params.json" in names or any(name.startswith("consolidated.") for name in names):
        return "It is in its maker's original format.", "Name the Hugging Face version of the model."
    nested = sorted(name for name in names if name.count("/") == 1 and name.endswith("/config.json"))
    if nested:
        return f"Its sub-folder {nested[0].split('/')[0]!r} has one.", "Name that folder."
    shown = ", ".join(map(repr, sorted(names)[:5]))
    return f"It holds {shown}{' and more' if len(names) > 5 else ''}.", "Name the folder that `save_pretrained` wrote."
