"""Converts a safetensors model to OpenVINO IR, in a helper process inside the conversion environment.

optimum-intel exports the model as it is stored; NNCF then compresses the weights of the exported model, which it reads
from the disk, so that both never lie in memory as torch tensors at once. Nothing here touches the network.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saker.core.errors import Unavailable, Unsupported
from saker.models.helper import Report, serve

MODEL = "openvino_model.xml"
STEPS = 3
SMALL_HIDDEN_SIZE = 2048
"""Below it, int4 with large groups loses too much; 32 numbers share a scale there."""

_WEIGHTS = (".safetensors", ".safetensors.index.json", ".bin", ".pt", ".pth", ".gguf")


def convert(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Write the IR and its companions into the output folder."""
    source, output = Path(request["source"]), Path(request["output"])
    weight_format: str = request["weight_format"]
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # its users go on without it
    report("convert", "Loading the conversion tools", 0, STEPS, "steps")
    exported = output / "exported" if weight_format in ("int8", "int4") else output
    _export(source, exported, weight_format, request["trust_remote_code"], report)
    if exported != output:
        report("convert", f"Compressing the weights to {weight_format}", 2, STEPS, "steps")
        _compress(exported / MODEL, output / MODEL, weight_format, request["config"])
        _move_companions(exported, output)
        shutil.rmtree(exported)
    _copy_companions(source, output)
    report("convert", "Converted", STEPS, STEPS, "steps")
    return {}


def int4_group_size(config: Mapping[str, Any]) -> int:
    """How many numbers share one scale under int4: the largest usual group that the model's shape allows.

    >>> int4_group_size({"hidden_size": 4096, "intermediate_size": 14336})
    128
    >>> int4_group_size({"hidden_size": 576, "intermediate_size": 1536})
    32
    """
    hidden = config.get("hidden_size")
    inner = config.get("intermediate_size", hidden)
    if type(hidden) is not int or type(inner) is not int or hidden < SMALL_HIDDEN_SIZE:
        return 32
    return next((group for group in (128, 64) if hidden % group == 0 and inner % group == 0), 32)


def _export(source: Path, output: Path, weight_format: str, trust_remote_code: bool, report: Report) -> None:
    import torch
    from optimum.exporters.openvino import main_export
    from optimum.intel import OVConfig

    report("convert", "Exporting the model", 1, STEPS, "steps")
    loading = {"torch_dtype": torch.bfloat16} if weight_format == "bf16" else None
    try:
        main_export(
            str(source),
            output,
            task="text-generation-with-past",
            # "fp32" leaves the weights as they are stored; without a configuration large models become int8
            ov_config=OVConfig(dtype="fp16" if weight_format == "fp16" else "fp32"),
            convert_tokenizer=not (source / "tokenizer.json").exists(),
            library_name="transformers",
            local_files_only=True,
            trust_remote_code=trust_remote_code,
            model_loading_kwargs=loading,
        )
    except MemoryError as error:
        raise _out_of_memory(error) from error
    except Exception as error:
        if "allocate memory" in str(error):
            raise _out_of_memory(error) from error
        raise Unsupported(
            f"The model could not be exported to OpenVINO ({type(error).__name__}).",
            why=str(error).strip()[:400],
            fix="Deploy it with the engine 'transformers'.",
        ) from error


def _compress(exported: Path, target: Path, weight_format: str, config: Mapping[str, Any]) -> None:
    import nncf
    import openvino

    model = openvino.Core().read_model(exported)
    if weight_format == "int8":
        compressed = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM)
    else:
        fallback = nncf.quantization.advanced_parameters.GroupSizeFallbackMode.ADJUST
        compressed = nncf.compress_weights(
            model,
            mode=nncf.CompressWeightsMode.INT4_SYM,
            group_size=int4_group_size(config),
            advanced_parameters=nncf.AdvancedCompressionParameters(group_size_fallback_mode=fallback),
        )
    openvino.save_model(compressed, target, compress_to_fp16=False)


def _move_companions(exported: Path, output: Path) -> None:
    for path in exported.iterdir():
        if path.name not in (MODEL, "openvino_model.bin"):
            os.replace(path, output / path.name)


def _copy_companions(source: Path, output: Path) -> None:
    """Put the model's own files in place of those that the export rewrote: tokenizer, configuration, chat template."""
    for path in source.iterdir():
        if path.is_file() and not path.name.startswith(".") and not path.name.endswith(_WEIGHTS):
            shutil.copyfile(path, output / path.name)


def _out_of_memory(error: BaseException) -> Unavailable:
    return Unavailable(
        "The conversion ran out of memory.", why=str(error)[:200], fix="Free memory, or choose a smaller model."
    )


if __name__ == "__main__":
    serve(convert)
