"""Exponentials of whole vocabularies, computed by OpenVINO: on all cores, and without Python's lock.

They are all that sampling takes time for, and numpy has one core for them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import openvino
import openvino.opset13 as ops

Array = npt.NDArray[np.float32]

FEW_ROWS = 2
"""For so many numpy is faster, and cores that wake up for a moment disturb the model's next step."""


class Exponentials:
    """A tiny model: exp((logits - the row's largest) * factor)."""

    def __init__(self, vocabulary_size: int, threads: int | None = None) -> None:
        logits = ops.parameter([-1, vocabulary_size], openvino.Type.f32)
        factors = ops.parameter([-1, 1], openvino.Type.f32)
        largest = ops.reduce_max(logits, np.array([1]), keep_dims=True)
        masses = ops.exp(ops.multiply(ops.subtract(logits, largest), factors))
        model = openvino.Model([ops.result(masses)], [logits, factors])
        properties = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if threads is not None:
            properties["INFERENCE_NUM_THREADS"] = str(threads)
        self._request = openvino.Core().compile_model(model, "CPU", properties).create_infer_request()

    def of(self, logits: Array, factors: Array) -> Array:
        """The likeliest token's is 1. Overwritten by the next call; until then the caller may change them.

        Args:
            logits: Shape [R, V].
            factors: Shape [R], the inverse temperatures.
        """
        masses: Array
        if len(logits) <= FEW_ROWS:
            masses = np.exp((logits - logits.max(axis=1, keepdims=True)) * factors[:, None])
            return masses
        # The arrays outlive the call, so nothing is copied.
        self._request.set_input_tensor(0, openvino.Tensor(logits, shared_memory=True))
        self._request.set_input_tensor(1, openvino.Tensor(factors[:, None], shared_memory=True))
        self._request.infer()
        masses = self._request.get_output_tensor(0).data
        return masses
