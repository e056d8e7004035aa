"""Judges a model's config.json: which engines can load it, and what they cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saker.core.errors import InvalidInput, Unsupported
from saker.core.suggest import did_you_mean
from saker.models import architectures

_GPU_FORMATS = {
    "gptq": "GPTQ",
    "awq": "AWQ",
    "bitsandbytes": "bitsandbytes",
    "bnb": "bitsandbytes",
    "fp8": "FP8",
    "fbgemm_fp8": "FP8",
    "compressed-tensors": "compressed-tensors",
    "exl2": "ExLlamaV2",
    "eetq": "EETQ",
    "aqlm": "AQLM",
    "hqq": "HQQ",
}


def check_config(config: Mapping[str, Any], *, trust_remote_code: bool) -> tuple[str, ...]:
    """The engines that can load the model, best first; at least one.

    Raises:
        InvalidInput: The configuration names no architecture.
        Unsupported: Quantized for a GPU, of an unknown architecture, in need of untrusted code, or no text generator.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise InvalidInput(
            "'config.json' does not say what model it is.",
            why="The key 'model_type' is missing or no text.",
            fix="Copy config.json of the model's repository.",
        )
    _check_quantization(config)
    _check_code(config, model_type, trust_remote_code)
    engines = architectures.engines_for(model_type, trust_remote_code=trust_remote_code)
    if not engines:
        raise _unknown(model_type)
    if not architectures.is_generative(config):
        raise Unsupported(
            f"The model's class {config['architectures'][0]!r} does not generate text.",
            why="It has no language modelling head.",
            fix="Name a model whose class ends in 'ForCausalLM'.",
        )
    return engines


def _check_quantization(config: Mapping[str, Any]) -> None:
    quantization = config.get("quantization_config")
    method = str(quantization.get("quant_method", "")).lower() if isinstance(quantization, dict) else ""
    if method in _GPU_FORMATS:
        raise Unsupported(
            f"The model's weights are quantized with {_GPU_FORMATS[method]} (quant_method {method!r}).",
            why="That format needs a CUDA GPU and its own library; no engine here reads it.",
            fix="Name the unquantized model: Saker quantizes it to int8 or int4 itself.",
        )


def _check_code(config: Mapping[str, Any], model_type: str, trust_remote_code: bool) -> None:
    """Code in the folder matters only where no library has the architecture; elsewhere it lies unused."""
    if config.get("auto_map") and not trust_remote_code and not architectures.is_native(model_type):
        raise Unsupported(
            f"The model {model_type!r} brings its own Python code, which would run on this machine.",
            why="'config.json' has an 'auto_map', and no library here knows the architecture.",
            fix="Read the code in the model's folder; if you trust it, set SAKER_TRUST_REMOTE_CODE=1 in the model's "
            "environment.",
        )


def _unknown(model_type: str) -> Unsupported:
    return Unsupported(
        f"Unknown architecture {model_type!r}.",
        why=f"The engines 'genai' and 'transformers' know {len(architectures.KNOWN)} others.",
        fix=did_you_mean(model_type, architectures.KNOWN)
        or "A newer version of Saker may know it; a GGUF version of the model may load.",
    )
