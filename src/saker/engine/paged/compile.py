"""Makes a model with paged attention out of an exported one: keys and values in blocks, sequences of any length in one
inference, logits only where a token is drawn.

The transformation is OpenVINO's own, under a private name. So what it gives is checked here, and a model that comes out
otherwise than expected is refused at load instead of answering wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino.opset13 as ops
from openvino._offline_transformations import paged_attention_transformation

from saker.core.errors import Unsupported
from saker.engine.memory import BLOCK_TOKENS
from saker.engine.paged.adapter_graph import Adaptable, inject

PRECISIONS: dict[str, dict[str, str]] = {
    "default": {"KV_CACHE_PRECISION": "u8"},
    "bf16": {"INFERENCE_PRECISION_HINT": "bf16"},
    "fp32": {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"},
}
"""OpenVINO's properties for each precision. The default computes in bf16 where the processor has it, and names the
8-bit cache, which is OpenVINO's own default, because exported models in fp16 ask for a 16-bit one: that is three times
slower where heads are small."""

WANTED = "sampled_tokens_indices"
"""The input that this module adds: the places, among all tokens of an inference, whose logits are wanted."""

_NEEDED = {"input_ids", "past_lens", "subsequence_begins", "block_indices", "block_indices_begins", "max_context_len"}
_POSSIBLE = _NEEDED | {"position_ids", WANTED}
_CACHES = ("key_cache.", "value_cache.")

_AFTER_HEAD = {"Add", "Subtract", "Multiply", "Divide", "Tanh", "Convert", "Clamp"}
"""What models do to logits one by one: biases, scales, soft caps."""


@dataclass(frozen=True)
class CacheInput:
    """One layer's room for keys or for values."""

    name: str
    type: Any
    """OpenVINO's element type."""
    block_shape: tuple[int, ...]
    """Of one block; the input has the number of blocks before it."""

    @property
    def block_bytes(self) -> int:
        """Bytes of one block."""
        numbers = int(np.prod(self.block_shape))
        return -(-numbers * int(self.type.bitwidth) // 8)


@dataclass(frozen=True)
class PagedModel:
    """A compiled model and what its inputs look like."""

    compiled: Any
    caches: tuple[CacheInput, ...]
    vocabulary_size: int
    has_positions: bool
    adaptable: Adaptable | None = None
    """What adapters can change; None where they were not asked for."""

    @property
    def block_bytes(self) -> int:
        """What `BLOCK_TOKENS` tokens take over all layers."""
        return sum(cache.block_bytes for cache in self.caches)


def compile_paged(folder: Path, precision: str, threads: int | None, *, adapters: bool = False) -> PagedModel:
    """The model of an OpenVINO folder, ready to run.

    Args:
        adapters: Whether it takes LoRA adapters, which makes each step a little longer even without any.

    Raises:
        Unsupported: There is none, or it cannot be given paged attention.
    """
    core = openvino.Core()
    try:
        model = core.read_model(str(folder / "openvino_model.xml"))
    except RuntimeError as error:
        raise Unsupported(
            f"OpenVINO cannot read a model in {folder.name!r}.",
            why=_last_line(error),
            fix="Convert the model again, or deploy with the engine 'transformers'.",
        ) from error
    try:
        paged_attention_transformation(model)
        model.validate_nodes_and_infer_types()
    except RuntimeError as error:
        raise _refusal(folder, _last_line(error)) from error
    head = _gather_before_head(model, folder)
    _check_inputs(model, folder)
    adaptable = _make_adaptable(core, model, head, folder, precision) if adapters else None
    properties = {"PERFORMANCE_HINT": "LATENCY"} | PRECISIONS[precision]
    if threads is not None:
        properties["INFERENCE_NUM_THREADS"] = str(threads)
    return _describe(core.compile_model(model, "CPU", properties), folder, adaptable)


def _make_adaptable(core: Any, model: Any, head: Any, folder: Path, precision: str) -> Adaptable:
    hint = PRECISIONS[precision].get("INFERENCE_PRECISION_HINT") or core.get_property("CPU", "INFERENCE_PRECISION_HINT")
    adaptable = inject(model, head, is_bf16=hint in ("bf16", openvino.Type.bf16))
    if not adaptable.kinds:
        raise Unsupported(
            f"The model {folder.name!r} cannot take adapters.",
            why="No linear layer was found under its name.",
            fix="Deploy without room for adapters, or convert the model again.",
        )
    return adaptable


def _gather_before_head(model: Any, folder: Path) -> Any:
    """Let the head, often the largest matrix of the model, see only the tokens whose logits are wanted; returns it."""
    head = _find_head(model)
    if head is None:
        raise _refusal(folder, "Its last matrix was not found.")
    hidden = head.input_value(0)
    shape = hidden.get_partial_shape()
    if shape.rank.get_length() != 3 or shape[1] != openvino.Dimension(1):
        raise _refusal(folder, f"The input of its last matrix has the shape {shape}.")
    wanted = ops.parameter([-1], openvino.Type.i64, name=WANTED)
    wanted.output(0).get_tensor().set_names({WANTED})
    gathered = ops.gather(hidden, wanted, ops.constant(np.array(0, dtype=np.int64)))
    head.input(0).replace_source_output(gathered.output(0))
    model.add_parameters([wanted])
    model.validate_nodes_and_infer_types()
    return head


def _find_head(model: Any) -> Any | None:
    """The multiplication whose outcome is the logits; None where something unknown stands between."""
    node = model.outputs[0].get_node().input_value(0).get_node()
    while node.get_type_name() in _AFTER_HEAD:
        sources = [value.get_node() for value in node.input_values()]
        varying = [source for source in sources if not _is_constant(source)]
        if len(varying) != 1:
            return None
        node = varying[0]
    return node if node.get_type_name() == "MatMul" else None


def _is_constant(node: Any) -> bool:
    """Whether it does not depend on the model's inputs; compressed weights stand behind conversions."""
    if node.get_type_name() == "Parameter":
        return False
    if node.get_type_name() == "Constant":
        return True
    return node.get_type_name() == "Convert" and _is_constant(node.input_value(0).get_node())


def _check_inputs(model: Any, folder: Path) -> None:
    names = {value.get_any_name() for value in model.inputs}
    unknown = {name for name in names - _POSSIBLE if not name.startswith(_CACHES)}
    missing = _NEEDED - names
    if unknown or missing:
        why = f"Unknown inputs: {sorted(unknown)}; missing inputs: {sorted(missing)}."
        raise _refusal(folder, why)
    if not any(name.startswith(_CACHES) for name in names):
        raise _refusal(folder, "It has no layer with keys and values.")


def _describe(compiled: Any, folder: Path, adaptable: Adaptable | None) -> PagedModel:
    caches = []
    for value in compiled.inputs:
        name = value.get_any_name()
        if not name.startswith(_CACHES):
            continue
        # The plugin fixes type and shape only now, and it packs scales of 8-bit caches into the block.
        shape = [dimension.get_length() for dimension in list(value.get_partial_shape())[1:]]
        if name.startswith("value_cache.") and shape[1] != BLOCK_TOKENS:
            raise _refusal(folder, f"Its blocks hold {shape[1]} tokens, and {BLOCK_TOKENS} were expected.")
        caches.append(CacheInput(name, value.get_element_type(), tuple(shape)))
    return PagedModel(
        compiled=compiled,
        caches=tuple(caches),
        vocabulary_size=compiled.outputs[0].get_partial_shape()[-1].get_length(),
        has_positions=any("position_ids" in value.get_names() for value in compiled.inputs),
        adaptable=adaptable,
    )


def _refusal(folder: Path, why: str) -> Unsupported:
    return Unsupported(
        f"The model {folder.name!r} cannot be given paged attention.",
        why=why,
        fix="Deploy with the engine 'genai', or 'transformers' where that refuses it too.",
    )


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else ""
