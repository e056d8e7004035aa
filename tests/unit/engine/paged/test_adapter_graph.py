"""Which layers of a graph take adapters, and that the graph then adds what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("openvino")

import openvino
import openvino.opset13 as ops

from saker.engine.paged.adapter_batch import AdapterInputs
from saker.engine.paged.adapter_graph import Adaptable, inject
from saker.engine.paged.adapters import Adapter

INPUTS, OUTPUTS, TOKENS = 6, 5, 4
W_OI = np.random.default_rng(0).normal(size=(OUTPUTS, INPUTS)).astype(np.float32)
X_TI = np.random.default_rng(1).normal(size=(TOKENS, INPUTS)).astype(np.float32)
PROJECTION = "__module.model.layers.{}.mlp.up_proj/aten::linear/MatMul"


def plain(weights: npt.NDArray[np.float32]) -> Any:
    return ops.constant(weights)


def half(weights: npt.NDArray[np.float32]) -> Any:
    return ops.convert(ops.constant(weights.astype(np.float16)), "f32")


def eight_bits(weights: npt.NDArray[np.float32]) -> Any:
    numbers = ops.convert(ops.constant(np.round(weights * 16).astype(np.int8)), "f16")
    centred = ops.subtract(numbers, ops.constant(np.zeros((OUTPUTS, 1), np.float16)))
    return ops.convert(ops.multiply(centred, ops.constant(np.full((OUTPUTS, 1), 1 / 16, np.float16))), "f32")


def grouped(weights: npt.NDArray[np.float32]) -> Any:
    groups = ops.convert(ops.constant(np.round(weights * 4).astype(np.int8).reshape(OUTPUTS, 2, 3)), "f32")
    scaled = ops.multiply(groups, ops.constant(np.full((OUTPUTS, 2, 1), 0.25, np.float32)))
    return ops.reshape(scaled, ops.constant(np.array([OUTPUTS, INPUTS])), False)


def graph(names: list[str], weights: Any = plain, shape: tuple[int, ...] = (-1, 1, INPUTS)) -> tuple[Any, Any]:
    """A model whose outputs are multiplications of these names, and a head that it also has."""
    x = ops.parameter(list(shape), openvino.Type.f32, name="x")
    x.output(0).get_tensor().set_names({"x"})
    outcomes = []
    for name in [*names, "__module.lm_head/aten::linear/MatMul"]:
        node = ops.matmul(x, weights(W_OI), False, True)
        node.set_friendly_name(name)
        outcomes.append(node)
    return openvino.Model([ops.result(node) for node in outcomes], [x], "model"), outcomes[-1]


@pytest.mark.parametrize("weights", [plain, half, eight_bits, grouped])
@pytest.mark.parametrize("spelling", ["aten::linear/MatMul", "ov_ext::linear/MatMul", "aten::addmm/MatMul_1"])
def test_linear_layers_are_found_however_they_are_exported(weights: Any, spelling: str) -> None:
    model, head = graph([f"__module.model.layers.{layer}.self_attn.q_proj/{spelling}" for layer in (0, 1)], weights)
    (kind,) = inject(model, head, is_bf16=False).kinds

    assert ["model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj"] == sorted(kind.modules)
    assert (INPUTS, OUTPUTS) == (kind.inputs, kind.outputs)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("__module.model.rotary_emb/aten::bmm/MatMul", (-1, 1, INPUTS)),
        ("MatMul_17", (-1, 1, INPUTS)),
        ("__module.model.layers.0.mlp.experts.0.w1/aten::linear/MatMul", (-1, INPUTS)),  # some tokens only
        ("__module.lm_head/aten::linear/MatMul", (-1, 1, INPUTS)),  # the head itself, under its name
    ],
)
def test_other_multiplications_are_left_alone(name: str, shape: tuple[int, ...]) -> None:
    model, head = graph([name], shape=shape)

    assert () == inject(model, head, is_bf16=False).kinds
    assert 1 == len(model.inputs)


def make_adapter(adaptable: Adaptable, name: str, rank: int) -> Adapter:
    draw = np.random.default_rng(rank)
    (kind,) = adaptable.kinds
    shapes = [(len(kind.modules), rank, width) for width in (kind.inputs, kind.outputs)]
    # small and whole, which bfloat16 holds exactly
    numbers = [adaptable.numbers(draw.integers(-4, 5, shape).astype(np.float32)) for shape in shapes]
    return Adapter(name, b"", {kind.name: (numbers[0], numbers[1])})


def product(adaptable: Adaptable, adapter: Adapter, layer: int) -> npt.NDArray[np.float32]:
    (kind,) = adaptable.kinds
    at = kind.modules.index(f"model.layers.{layer}.mlp.up_proj")
    down, up = (
        ((bits.astype(np.uint32) << 16).view(np.float32) if adaptable.is_bf16 else bits)[at]
        for bits in adapter.stacks[kind.name]
    )
    found: npt.NDArray[np.float32] = down.T @ up
    return found


@pytest.mark.parametrize("is_bf16", [False, True])
def test_the_graph_adds_each_tokens_adapter_and_nothing_without(is_bf16: bool) -> None:
    model, head = graph([PROJECTION.format(layer) for layer in (0, 1)])
    adaptable = inject(model, head, is_bf16=is_bf16)
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    inputs = AdapterInputs(request, adaptable)
    a, b = make_adapter(adaptable, "a", 3), make_adapter(adaptable, "b", 2)
    request.set_tensor("x", openvino.Tensor(X_TI[:, None]))
    for owners in ([None] * 4, [a, None, b, b], [a] * 4, [None] * 4, [b, b, b, None]):
        inputs.fill(owners, [1] * 4)
        request.infer()
        for layer in (0, 1):
            found = request.get_output_tensor(layer).data[:, 0]
            expected = np.stack(
                [
                    W_OI @ x_I + (x_I @ product(adaptable, owner, layer) if owner else 0)
                    for x_I, owner in zip(X_TI, owners, strict=True)
                ]
            )

            np.testing.assert_allclose(expected, found, atol=1e-4)
        np.testing.assert_allclose(X_TI @ W_OI.T, request.get_output_tensor(2).data[:, 0], atol=1e-5)  # the head
