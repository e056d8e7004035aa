"""The page about engines. It needs none of their libraries: what they declare is read from their source."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

import saker
from reference.markdown import page, table, words
from saker.engine.messages import Sampling
from saker.models import architectures, gguf, memory
from saker.settings import Settings

ENGINES = [
    (
        "`paged`",
        "decoder-only models on CPUs: [our own](../engine.md) scheduler and sampler over OpenVINO's paged attention",
        "the server's own",
    ),
    ("`genai`", "the same and GGUF files, with OpenVINO GenAI's continuous batching", "the server's own"),
    (
        "`transformers`",
        "any causal or encoder-decoder architecture of transformers, on CPU or CUDA",
        "`torch`, made by `saker engines install torch`",
    ),
    ("`fake`", "no model; answers from the prompt, for tests and dry runs", "the server's own"),
]

DECLARING = {
    "paged": "paged/engine",
    "genai": "genai",
    "transformers": "transformers",
    "transformers, batched": "transformers_batch",
    "fake": "fake",
}
"""Columns of the table of parameters, and the modules of `saker.engine` that declare them."""


def engines_page() -> str:
    """What each engine can, and what it asks for."""
    return page(
        "Engines",
        "An engine runs one model in a worker process of its own.",
        "`SAKER_ENGINE` in the [container's environment](container-environment.md) names one.",
        "`auto` picks the first of them that can load the model.",
        "",
        *table(("engine", "runs", "environment"), ENGINES),
        "",
        "## Parameters",
        "",
        "A request with a parameter that its engine cannot honour is refused; nothing is dropped silently.",
        "",
        *table(("parameter", *DECLARING), _parameter_rows()),
        "",
        "## What needs no conversion",
        "",
        "The first of these that a model comes in is used:",
        "",
        "1. OpenVINO IR: `openvino_model.xml` and `.bin` with `tokenizer.json`, or with OpenVINO's tokenizer files.",
        "2. GGUF, for the engine `genai`: one file with a byte-level BPE tokenizer and without RoPE scaling.",
        f"   Architectures: {words(gguf.READABLE_ARCHITECTURES)}.",
        f"   Tensor types: {words(gguf.READABLE_TYPES)}.",
        "3. safetensors, for the engine `transformers`.",
        "",
        "safetensors for the engines `paged` and `genai` are converted to OpenVINO IR once and kept.",
        "Pickled weights are refused.",
        "",
        *_architectures(),
        "",
        *_precision(),
        "",
        *_limits(),
    )


def _parameter_rows() -> list[tuple[str, ...]]:
    declared = [_parameters(module) for module in DECLARING.values()]
    names = [*Sampling.__struct_fields__, *sorted(frozenset.union(*declared) - set(Sampling.__struct_fields__))]
    return [(f"`{name}`", *("yes" if name in each else "no" for each in declared)) for name in names]


def _parameters(module: str) -> frozenset[str]:
    """The constant PARAMETERS of an engine's module."""
    source = Path(saker.__file__).parent / "engine" / f"{module}.py"
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PARAMETERS":
            found: frozenset[str] = eval(ast.unparse(node.value), {"Sampling": Sampling})  # noqa: S307  # our own source
            return found
    raise LookupError(module)


def _architectures() -> list[str]:
    both = _native(architectures.OPENVINO)
    alone = _native(architectures.KNOWN) - architectures.OPENVINO
    with_code = architectures.KNOWN - _native(architectures.KNOWN)
    return [
        "## Architectures",
        "",
        "By the `model_type` in a model's `config.json`.",
        "",
        "On these, the tests compare tokens in 32 bits with plain transformers', on models with random weights:",
        "",
        *table(("architecture", "engine that `auto` takes", "engines compared"), _compared_rows()),
        "",
        "All that can be loaded:",
        "",
        f"* `paged`, `genai` and `transformers`: {words(sorted(both))}.",
        f"* `transformers` alone: {words(sorted(alone))}.",
        *([f"* Only with `SAKER_TRUST_REMOTE_CODE=1`: {words(sorted(with_code))}."] if with_code else []),
    ]


def _compared_rows() -> list[tuple[str, str, str]]:
    rows = []
    for name in sorted(architectures.COMPARED_OPENVINO | architectures.COMPARED_TRANSFORMERS):
        compared = ["`paged`", "`genai`"] if name in architectures.COMPARED_OPENVINO else []
        compared += ["`transformers`"] if name in architectures.COMPARED_TRANSFORMERS else []
        first = "paged" if name in architectures.OPENVINO else "transformers"
        rows.append((f"`{name}`", f"`{first}`", ", ".join(compared)))
    return rows


def _native(model_types: Iterable[str]) -> frozenset[str]:
    return frozenset(name for name in model_types if architectures.is_native(name))


def _precision() -> list[str]:
    return [
        "## Precision",
        "",
        "The weight format applies where Saker converts; files that are used as they are keep theirs.",
        "",
        *table(
            ("`SAKER_WEIGHT_FORMAT`", "bytes for each weight"),
            [(f"`{name}`", f"{size:g}") for name, size in memory.BYTES_PER_WEIGHT.items()],
        ),
        "",
        "What fewer bits cost in perplexity is [measured](../performance.md#perplexity).",
        "",
        "`SAKER_PRECISION` is about arithmetic and the cache of keys and values.",
        "`default` is the engine's fastest on this machine.",
        "`fp32` computes and caches in 32 bits.",
        "Together with `SAKER_WEIGHT_FORMAT=fp32` it gives the tokens that transformers gives in 32 bits.",
    ]


def _limits() -> list[str]:
    runtime = ", ".join(f"{size / 1e6:.0f} MB for `{name}`" for name, size in memory.RUNTIME_BYTES.items())
    return [
        "## Limits",
        "",
        "* A replica starts only when its memory fits into the part of the free memory that the setting",
        f"  `memory_limit_ratio` allows ({Settings.memory_limit_ratio:.0%}).",
        "  Counted are its weights, the keys and values of one full context, and the engine itself:",
        f"  {runtime}.",
        "* Prompt and answer together hold as many tokens as the model's own configuration says, or `MAX_TOTAL_TOKENS`",
        "  when that is less; a longer prompt is refused with both counts.",
        f"* One answer may take {Settings.invoke_timeout_s:g} s (setting `invoke_timeout_s`).",
        f"* A request body may have {Settings.max_body_bytes / 1024**2:g} MiB (setting `max_body_bytes`).",
        f"* One replica takes {Settings.max_queue} requests at once (setting `max_queue`).",
        "* No engine but `fake` computes embeddings yet.",
        "* Weights that are quantized for GPUs (GPTQ, AWQ, bitsandbytes, FP8) are refused.",
    ]
