"""Gives a model's graph inputs for LoRA adapters, so that they can be changed without compiling it again.

Every linear layer y = x W gets y += (x down * mask) up. `down` and `up` hold the matrices of all adapters of a step
side by side, and the mask leaves each token those of its own adapter. Layers that are alike but for their depth share
one input each, in a stack: hundreds of inputs would take as long as a small model does.

The rank is a dynamic dimension. With none, nothing is multiplied, and a step costs only the additions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino
import openvino.opset13 as ops

_LINEAR = re.compile(r"__module\.(.+?)/[^/]+::(?:linear|addmm|matmul)/")
"""The exporter's name for a multiplication; the first part is the module's name in transformers."""

_AROUND_WEIGHTS = {"Convert", "Multiply", "Subtract", "Reshape"}
"""What turns compressed weights back into numbers."""


@dataclass(frozen=True)
class Kind:
    """Layers of one name and size at all depths, such as every q_proj."""

    name: str
    modules: tuple[str, ...]
    """In the order of their stack."""
    inputs: int
    outputs: int

    @property
    def down(self) -> str:
        """The model input of shape [modules, rank, inputs]."""
        return f"adapter_down.{self.name}"

    @property
    def up(self) -> str:
        """The model input of shape [modules, rank, outputs]."""
        return f"adapter_up.{self.name}"

    @property
    def mask(self) -> str:
        """The model input of shape [tokens, rank]; [1, rank] holds for all tokens."""
        return f"adapter_mask.{self.name}"


@dataclass(frozen=True)
class Adaptable:
    """What adapters can change in a model."""

    kinds: tuple[Kind, ...]
    is_bf16: bool
    """Whether adapters are held in bfloat16, where the arithmetic is that anyway: half the memory and time."""

    @property
    def number_bytes(self) -> int:
        """Of each number of an adapter."""
        return 2 if self.is_bf16 else 4

    def numbers(self, values: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """Values as they are held: rounded to bfloat16's bits, or as they are."""
        if not self.is_bf16:
            return values
        bits = np.ascontiguousarray(values).view(np.uint32)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)  # ties to even

    def empty(self, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """Zeros."""
        return np.zeros(shape, np.uint16 if self.is_bf16 else np.float32)

    def tensor(self, content: npt.NDArray[Any]) -> Any:
        """A view for OpenVINO; the caller keeps the content alive."""
        kind = openvino.Type.bf16 if self.is_bf16 else openvino.Type.f32
        return openvino.Tensor(content, openvino.Shape(content.shape), kind)


def inject(model: Any, head: Any, *, is_bf16: bool) -> Adaptable:
    """Add the inputs and what is done with them.

    Args:
        head: The last matrix, which is left alone: it sees only the tokens whose logits are wanted.
    """
    alike: dict[tuple[str, int, int], dict[str, Any]] = {}
    for node in model.get_ordered_ops():
        module = _module(node)
        if module is not None and node.get_friendly_name() != head.get_friendly_name():
            name = re.sub(r"\.\d+(?=\.|$)", ".*", module)
            alike.setdefault((name, *_widths(node)), {})[module] = node
    kinds, added, flat = [], [], _Flat()
    for (name, inputs, outputs), nodes in alike.items():
        kind = Kind(f"{name}.{inputs}.{outputs}", tuple(nodes), inputs, outputs)
        added += _extend(kind, list(nodes.values()), flat, is_bf16=is_bf16)
        kinds.append(kind)
    model.add_parameters(added)
    model.validate_nodes_and_infer_types()
    return Adaptable(tuple(kinds), is_bf16)


def _module(node: Any) -> str | None:
    """The module that a node is the multiplication of; None for any other node."""
    if node.get_type_name() != "MatMul" or not _is_weight(node.input_value(1).get_node()):
        return None
    shape = node.input_value(0).get_partial_shape()
    # One row per token: experts, for one, see only some of the tokens, and the mask would not fit those.
    if shape.rank.is_dynamic or len(shape) != 3 or shape[1] != openvino.Dimension(1):
        return None
    match = _LINEAR.match(node.get_friendly_name())
    return match[1] if match else None


def _is_weight(node: Any) -> bool:
    kind = node.get_type_name()
    if kind in _AROUND_WEIGHTS:
        return all(_is_weight(value.get_node()) for value in node.input_values())
    return bool(kind == "Constant")


def _widths(node: Any) -> tuple[int, int]:
    """How many inputs and outputs a layer has."""
    rows, columns = node.input_value(1).get_shape()
    return (columns, rows) if node.get_attributes()["transpose_b"] else (rows, columns)


class _Flat:
    """The layers' inputs as matrices; three dimensions would be multiplied token by token."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, int], Any] = {}

    def __call__(self, value: Any) -> Any:
        key = value.get_node().get_friendly_name(), value.get_index()
        if key not in self._made:
            self._made[key] = ops.squeeze(value, _constant([1]))
        return self._made[key]


def _extend(kind: Kind, nodes: list[Any], flat: _Flat, *, is_bf16: bool) -> list[Any]:
    """Add a kind's inputs to its layers; returns them."""
    number = openvino.Type.bf16 if is_bf16 else openvino.Type.f32
    down = _parameter(kind.down, [len(nodes), -1, kind.inputs], number)
    up = _parameter(kind.up, [len(nodes), -1, kind.outputs], number)
    mask = _parameter(kind.mask, [-1, -1], openvino.Type.f32)
    downs, ups = (ops.convert(stack, "f32") if is_bf16 else stack for stack in (down, up))
    for place, node in enumerate(nodes):
        targets = list(node.output(0).get_target_inputs())
        at, first = _constant(place), _constant(0)
        small = ops.matmul(flat(node.input_value(0)), ops.gather(downs, at, first), False, True)
        change = ops.matmul(ops.multiply(small, mask), ops.gather(ups, at, first), False, False)
        outcome = ops.add(node.output(0), ops.unsqueeze(change, _constant([1])))
        for target in targets:
            target.replace_source_output(outcome.output(0))
    return [down, up, mask]


def _parameter(name: str, shape: list[int], number: Any) -> Any:
    made = ops.parameter(shape, number, name=name)
    made.output(0).get_tensor().set_names({name})
    return made


def _constant(value: int | list[int]) -> Any:
    return ops.constant(np.array(value, dtype=np.int64))
