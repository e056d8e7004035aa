"""Decides how a model gets to an engine: as it is, or converted. Pure, so that every case can be tested."""

from __future__ import annotations

from dataclasses import dataclass

from saker.core.errors import Unsupported
from saker.models.base import EngineName, Preparation
from saker.models.check import Checkpoint
from saker.models.config import check_config

OPENVINO_ENGINES: tuple[EngineName, ...] = ("paged", "genai")
"""The engines that run OpenVINO IR, the one that is taken first."""


@dataclass(frozen=True)
class Plan:
    """What is to be done."""

    engine: EngineName
    convert: bool
    notes: tuple[str, ...]
    """The decision in words."""


def choose_plan(checkpoint: Checkpoint, request: Preparation) -> Plan:
    """The engine for a checked model, and whether it needs converting.

    Raises:
        Unsupported: The engine that was asked for cannot load the model; names one that can.
    """
    if checkpoint.format == "fake":
        _allow(request, ("fake",), "a description for the engine 'fake'")
        return Plan("fake", False, ("It is a description for the engine 'fake'; no model is loaded.",))
    if checkpoint.format == "openvino":
        _allow(request, OPENVINO_ENGINES, "OpenVINO IR")
        note = f"It is OpenVINO IR already and is used as it is{_not_applied(request)}."
        return Plan("genai" if request.engine == "genai" else "paged", False, (note,))
    if checkpoint.format == "gguf":
        _allow(request, ("genai",), "a GGUF file")
        return Plan("genai", False, (f"OpenVINO GenAI reads the GGUF file directly{_not_applied(request)}.",))
    return _for_safetensors(checkpoint, request)


def _for_safetensors(checkpoint: Checkpoint, request: Preparation) -> Plan:
    able = check_config(checkpoint.config, trust_remote_code=request.trust_remote_code)
    if "genai" in able:
        able = (*OPENVINO_ENGINES, *able[1:])  # both run what is converted to OpenVINO IR
    wanted = able[0] if request.engine == "auto" else request.engine
    model_type = checkpoint.config["model_type"]
    if wanted not in able:
        raise Unsupported(
            f"The engine {wanted!r} cannot load the architecture {model_type!r}.",
            why=f"It can be loaded by {', '.join(able)}.",
            fix=f"Deploy with SAKER_ENGINE={able[0]}.",
        )
    if wanted in OPENVINO_ENGINES:
        note = f"Its safetensors are converted once to OpenVINO IR with {request.weight_format} weights."
        return Plan("genai" if wanted == "genai" else "paged", True, (note,))
    why = f"OpenVINO does not know {model_type!r}; t" if request.engine == "auto" else "T"
    note = f"{why}he engine 'transformers' takes the safetensors as they are{_not_applied(request)}."
    return Plan("transformers", False, (note,))


def _allow(request: Preparation, engines: tuple[EngineName, ...], what: str) -> None:
    if request.engine not in ("auto", *engines):
        readers = "only the engine " + repr(engines[0]) if len(engines) == 1 else f"the engines {', '.join(engines)}"
        raise Unsupported(
            f"The engine {request.engine!r} cannot load {str(request.source)!r}.",
            why=f"It is {what}, which {readers} can read.",
            fix=f"Deploy with SAKER_ENGINE={engines[0]} or leave the engine out.",
        )


def _not_applied(request: Preparation) -> str:
    return f", so the weight format {request.weight_format!r} does not apply"
