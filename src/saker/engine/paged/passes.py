"""The passes over whole vocabularies that sampling takes its time for, computed by OpenVINO.

It computes them on all cores and without Python's lock, where numpy has one core; for few rows numpy is faster.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import openvino
import openvino.opset13 as ops

Array = npt.NDArray[np.float32]

FEW_ROWS = 16
"""For so many, cores that wake up for a moment cost more than they bring, and disturb the model's next step."""
TOGETHER = 2
"""Rows that numpy works on at once: they must stay in the fastest cache."""


class Passes:
    """Two tiny models for one vocabulary. Shapes: R rows, V vocabulary."""

    def __init__(self, vocabulary_size: int, threads: int | None = None) -> None:
        self._properties = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if threads is not None:
            self._properties["INFERENCE_NUM_THREADS"] = str(threads)
        logits, masses = (ops.parameter([-1, vocabulary_size], openvino.Type.f32) for _ in range(2))
        first, second = (ops.parameter([-1, 1], openvino.Type.f32) for _ in range(2))
        largest = ops.reduce_max(logits, np.array([1]), keep_dims=True)
        exponentials = ops.exp(ops.multiply(ops.subtract(logits, largest), first))
        self._exponentials = self._compile(exponentials, [logits, first])
        is_nearer = ops.less(ops.abs(ops.subtract(logits, first)), second)
        nearer = ops.reduce_sum(ops.select(is_nearer, masses, np.float32(0)), np.array([1]), keep_dims=True)
        self._nearer = self._compile(nearer, [logits, masses, first, second])
        self._few_masses = np.zeros((FEW_ROWS, vocabulary_size), np.float32)

    def exponentials(self, logits: Array, factors: Array) -> Array:
        """exp((logits - the row's largest) * factor), shape [R, V]; the likeliest token's is 1.

        Overwritten by the next call; until then the caller may change it.

        Args:
            logits: Shape [R, V].
            factors: Shape [R], the inverse temperatures.
        """
        if len(logits) > FEW_ROWS:
            return _run(self._exponentials, logits, factors[:, None])
        found = self._few_masses[: len(logits)]
        for start in range(0, len(logits), TOGETHER):
            rows = slice(start, start + TOGETHER)
            masses = found[rows]
            np.subtract(logits[rows], logits[rows].max(axis=1, keepdims=True), out=masses)
            masses *= factors[rows, None]
            np.exp(masses, out=masses)
        return found

    def nearer(self, logits: Array, masses: Array, levels: Array, distances: Array) -> Array:
        """The mass of the tokens whose logit is nearer to the row's level than a distance, shape [R]."""
        if len(logits) > FEW_ROWS:
            return _run(self._nearer, logits, masses, levels[:, None], distances[:, None])[:, 0]
        rows = zip(logits, masses, levels, distances, strict=True)
        return np.array([mass_nearer(*row) for row in rows], np.float32)

    def _compile(self, outcome: Any, inputs: list[Any]) -> Any:
        model = openvino.Model([ops.result(outcome)], inputs)
        return openvino.Core().compile_model(model, "CPU", self._properties).create_infer_request()


def mass_nearer(logits: Array, masses: Array, level: np.float32, distance: np.float32) -> float:
    """The same for one row, by numpy: all shapes [V]."""
    distances = logits - level
    np.abs(distances, out=distances)
    return float(masses @ (distances < distance))  # faster than to add up what is chosen


def _run(request: Any, *inputs: Array) -> Array:
    for place, array in enumerate(inputs):
        # The arrays outlive the call, so nothing is copied.
        request.set_input_tensor(place, openvino.Tensor(np.ascontiguousarray(array), shared_memory=True))
    request.infer(share_outputs=True)  # or the outcome would be copied
    outcome: Array = request.get_output_tensor(0).data
    return outcome
