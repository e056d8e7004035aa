"""Chooses, from the list of a hub repository's files, those that serving needs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from saker.core.errors import InvalidInput, NotFound, Unsupported
from saker.core.suggest import did_you_mean
from saker.models.base import EngineChoice, ModelFormat, WeightFormat
from saker.models.gguf import READABLE_ARCHITECTURES, READABLE_TYPES
from saker.models.layout import INDEX, check_tokenizer, missing_config, missing_openvino_files, missing_weights

_COMPANIONS = re.compile(
    r"config\.json|generation_config\.json|tokenizer.*\.(json|model)|special_tokens_map\.json|added_tokens\.json"
    r"|vocab\.(json|txt)|merges\.txt|spiece\.model|sentencepiece\.bpe\.model|chat_template\.(jinja|json)|[^/]*\.tiktoken"
    r"|openvino_config\.json|fake\.json|(LICENSE|NOTICE)[^/]*",
    re.ASCII,
)
_SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")

# Which quantization of a GGUF repository comes nearest to a weight format, best first.
_GGUF_ORDER: Mapping[WeightFormat, tuple[str, ...]] = {
    "int8": ("Q8_0", "Q6_K", "F16", "Q4_K_M", "Q4_1", "Q4_0", "Q4_K_S"),
    "int4": ("Q4_K_M", "Q4_0", "Q4_1", "Q4_K_S", "Q6_K", "Q8_0", "F16"),
    "fp16": ("F16", "Q8_0", "Q6_K"),
    "bf16": ("F16", "Q8_0", "Q6_K"),
    "fp32": ("F16", "Q8_0", "Q6_K"),
}


@dataclass(frozen=True)
class Selection:
    """The files to fetch."""

    format: ModelFormat
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()


def select_files(
    where: str,
    sizes: Mapping[str, int],
    config: Mapping[str, Any] | None,
    *,
    engine: EngineChoice,
    weight_format: WeightFormat,
    file: str = "",
    trust_remote_code: bool = False,
) -> Selection:
    """The files of the best format that the engine reads: OpenVINO IR, then GGUF, then safetensors.

    Args:
        where: The repository, for messages.
        sizes: All its files, with their bytes.
        config: Its config.json; None where it has none.
        engine: As asked for.
        weight_format: Picks among GGUF files.
        file: The GGUF file that the source names, if it names one.
        trust_remote_code: Whether to fetch Python files.

    Raises:
        NotFound: The named file is not in the repository.
        InvalidInput: The repository holds no model, or only pickled weights.
        Unsupported: Its GGUF files are none that an engine reads.
    """
    companions = tuple(name for name in sizes if _COMPANIONS.fullmatch(name))
    if trust_remote_code:
        companions += tuple(name for name in sizes if name.endswith(".py") and "/" not in name)
    if file:
        return Selection("gguf", (_named(where, sizes, file),))
    if "fake.json" in sizes:
        return Selection("fake", ("fake.json",))
    if engine != "transformers":
        ready = _ready_made(where, sizes, config, companions, weight_format)
        if ready:
            return ready
    return _safetensors(where, sizes, config, companions)


def _ready_made(
    where: str,
    sizes: Mapping[str, int],
    config: Mapping[str, Any] | None,
    companions: tuple[str, ...],
    weight_format: WeightFormat,
) -> Selection | None:
    """What needs no conversion, if there is something."""
    if not missing_openvino_files(sizes):
        ir = tuple(name for name in sizes if re.fullmatch(r"openvino_(model|tokenizer|detokenizer)\.(xml|bin)", name))
        note = "The repository holds OpenVINO IR, which is used as it is."
        return Selection("openvino", companions + ir, (note,))
    ggufs = [name for name in sizes if name.lower().endswith(".gguf")]
    if not ggufs or (config is not None and not _gguf_is_likely_readable(sizes, config)):
        return None
    return _gguf(where, ggufs, weight_format)


def _gguf_is_likely_readable(sizes: Mapping[str, int], config: Mapping[str, Any]) -> bool:
    """Judged before gigabytes are fetched; "tokenizer.model" tells of a kind of tokenizer that is not readable."""
    return config.get("model_type") in READABLE_ARCHITECTURES and "tokenizer.model" not in sizes


def _gguf(where: str, names: Sequence[str], weight_format: WeightFormat) -> Selection:
    for quantization in _GGUF_ORDER[weight_format]:
        found = sorted((name for name in names if _quantization(name) == quantization), key=len)
        if found:
            note = (
                f"Of {len(names)} GGUF files {found[0]!r} was taken, the nearest to {weight_format!r} that is readable."
            )
            return Selection("gguf", (found[0],), (note,))
    raise Unsupported(
        f"None of the GGUF files of {where!r} can be loaded.",
        why=f"Readable are whole files of the types {', '.join(READABLE_TYPES)}.",
        fix=f"Name one of its files (hf://{where}/FILE.gguf), or the model's safetensors repository.",
    )


def _quantization(name: str) -> str:
    """The type that a GGUF file's name ends with, "" where it does not or the file is a part of one."""
    stem = name.rsplit("/", 1)[-1][: -len(".gguf")]
    match = re.search(r"[.-](F16|FP16|Q\d_(?:K(?:_[SML])?|\d))$", stem, re.IGNORECASE)
    return match[1].upper().replace("FP16", "F16") if match else ""


def _safetensors(
    where: str, sizes: Mapping[str, int], config: Mapping[str, Any] | None, companions: tuple[str, ...]
) -> Selection:
    if config is None:
        raise missing_config(where, list(sizes))
    check_tokenizer(sizes)
    if INDEX in sizes:
        shards = tuple(name for name in sizes if _SHARD.fullmatch(name))
        if shards:
            return Selection("safetensors", (*companions, INDEX, *shards))
    if "model.safetensors" in sizes:
        return Selection("safetensors", (*companions, "model.safetensors"))
    raise missing_weights(where, list(sizes))


def _named(where: str, sizes: Mapping[str, int], file: str) -> str:
    if file in sizes:
        return file
    ggufs = [name for name in sizes if name.lower().endswith(".gguf")]
    if not ggufs:
        raise InvalidInput(
            f"The repository {where!r} holds no GGUF files.", fix=f"Name it without a file: hf://{where}."
        )
    raise NotFound(f"The repository {where!r} has no file {file!r}.", fix=did_you_mean(file, ggufs))
