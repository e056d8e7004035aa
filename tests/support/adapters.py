"""Writes LoRA adapters in PEFT's format."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Pair = tuple[Matrix, Matrix]
"""lora_A [rank, inputs] and lora_B [outputs, rank]."""


def pairs(
    modules: Iterable[str], inputs: int, outputs: int, *, rank: int = 4, seed: int = 0, size: float = 0.3
) -> dict[str, Pair]:
    """Random matrices for modules of one shape."""
    draw = np.random.default_rng(seed)
    return {
        module: (
            draw.normal(0, size, (rank, inputs)).astype(np.float32),
            draw.normal(0, size, (outputs, rank)).astype(np.float32),
        )
        for module in modules
    }


def write_adapter(
    folder: Path,
    modules: Mapping[str, Pair],
    *,
    dtype: str = "F32",
    others: Mapping[str, Matrix] | None = None,
    **config: Any,
) -> Path:
    """Write an adapter, and return its folder.

    Args:
        others: Further tensors, by their whole key.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rank = next((down.shape[0] for down, _ in modules.values()), 8)
    whole = {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "bias": "none"} | config
    (folder / "adapter_config.json").write_text(json.dumps(whole))
    tensors = dict(others or {})
    for module, (down, up) in modules.items():
        tensors[f"base_model.model.{module}.lora_A.weight"] = down
        tensors[f"base_model.model.{module}.lora_B.weight"] = up
    (folder / "adapter_model.safetensors").write_bytes(_pack(tensors, dtype))
    return folder


def _pack(tensors: Mapping[str, Matrix], dtype: str) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, values in tensors.items():
        raw = _bytes(values, dtype)
        header[name] = {"dtype": dtype, "shape": values.shape, "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def _bytes(values: Matrix, dtype: str) -> bytes:
    if dtype == "BF16":
        return (np.ascontiguousarray(values).view(np.uint32) >> 16).astype(np.uint16).tobytes()
    return values.astype(np.float16 if dtype == "F16" else np.float32).tobytes()
