"""Runs the model once over rows of any length, each a piece of a sequence.

Buffers are made once and given to OpenVINO as views, so that a step copies nothing but its token ids.
"""

from __future__ import annotations

import mmap
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import openvino

from saker.engine.paged.adapter_batch import AdapterInputs
from saker.engine.paged.adapters import Adapter
from saker.engine.paged.blocks import blocks_for
from saker.engine.paged.compile import WANTED, CacheInput, PagedModel


class Row(NamedTuple):
    """Tokens of one sequence to compute."""

    tokens: list[int]
    past: int
    """How many tokens come before them."""
    blocks: list[int]
    """Of the sequence; the first ones hold those before, the next take these."""
    wanted: int
    """For how many of the last tokens logits are wanted."""
    adapter: Adapter | None = None
    """None is the plain model."""


class Runner:
    """One model with its KV cache."""

    def __init__(self, model: PagedModel, blocks: int, max_tokens: int, max_rows: int, max_context: int) -> None:
        """
        Args:
            blocks: Of the cache. Their memory is taken as they are first written.
            max_tokens: In one run, over all rows.
        """
        self._request = model.compiled.create_infer_request()
        self._caches = [self._make_cache(cache, blocks) for cache in model.caches]
        self._buffers: dict[str, npt.NDArray[Any]] = {
            "input_ids": np.zeros(max_tokens, np.int64),
            "past_lens": np.zeros(max_rows, np.int32),
            "subsequence_begins": np.zeros(max_rows + 1, np.int32),
            "block_indices": np.zeros(max_rows * blocks_for(max_context), np.int32),
            "block_indices_begins": np.zeros(max_rows + 1, np.int32),
            WANTED: np.zeros(max_tokens, np.int64),
        }
        if model.has_positions:
            self._buffers["position_ids"] = np.zeros(max_tokens, np.int64)
        self._longest = np.zeros((), np.int32)
        self._request.set_tensor("max_context_len", openvino.Tensor(self._longest, shared_memory=True))
        self._sizes = dict.fromkeys(self._buffers, -1)
        self._adapters = AdapterInputs(self._request, model.adaptable) if model.adaptable else None

    def run(self, rows: Sequence[Row]) -> npt.NDArray[np.float32]:
        """Logits of shape [wanted, vocabulary], in the order of the rows.

        The caller may change them; the next run overwrites them.
        """
        self._fill(rows)
        if self._adapters is not None:
            self._adapters.fill([row.adapter for row in rows], [len(row.tokens) for row in rows])
        return self._infer()

    def repeat(self, tokens: list[int]) -> npt.NDArray[np.float32]:
        """Run the rows of the last run again, each with the one token that follows in place of its one token."""
        count = len(tokens)
        self._buffers["input_ids"][:count] = tokens
        self._buffers["past_lens"][:count] += 1
        if "position_ids" in self._buffers:
            self._buffers["position_ids"][:count] += 1
        self._longest += 1
        return self._infer()

    def _infer(self) -> npt.NDArray[np.float32]:
        self._request.infer(share_outputs=True)  # or all logits would be copied
        logits: npt.NDArray[np.float32] = self._request.get_output_tensor(0).data
        return logits.reshape(-1, logits.shape[-1])

    def copy_block(self, source: int, target: int) -> None:
        """Copy one block's keys and values."""
        for cache in self._caches:
            cache[target] = cache[source]

    def forget(self, adapter: Adapter) -> None:
        """Let go of an adapter that no row will have any more."""
        if self._adapters is not None:
            self._adapters.forget(adapter)

    def _make_cache(self, cache: CacheInput, blocks: int) -> npt.NDArray[np.uint8]:
        # Anonymous memory is on a page's boundary, and the system hands out its pages only as they are written.
        room = mmap.mmap(-1, blocks * cache.block_bytes)
        content = np.frombuffer(room, np.uint8)
        shape = openvino.Shape([blocks, *cache.block_shape])
        self._request.set_tensor(cache.name, openvino.Tensor(content, shape, cache.type))
        return content.reshape(blocks, cache.block_bytes)

    def _fill(self, rows: Sequence[Row]) -> None:
        """Write the inputs: tokens one after another, blocks one after another, and where each row begins."""
        ids: list[int] = []
        positions: list[int] = []
        blocks: list[int] = []
        wanted: list[int] = []
        begins, block_begins = [0], [0]
        for row in rows:
            length = row.past + len(row.tokens)
            ids += row.tokens
            positions += range(row.past, length)
            blocks += row.blocks[: blocks_for(length)]
            end = len(ids)
            wanted += range(end - row.wanted, end)
            begins.append(end)
            block_begins.append(len(blocks))
        past = [row.past for row in rows]
        self._longest[...] = max(map(operator.add, past, map(operator.sub, begins[1:], begins)))
        self._show("input_ids", ids)
        self._show("past_lens", past)
        self._show("subsequence_begins", begins)
        self._show("block_indices", blocks)
        self._show("block_indices_begins", block_begins)
        self._show(WANTED, wanted)
        if "position_ids" in self._buffers:
            self._show("position_ids", positions)

    def _show(self, name: str, values: list[int]) -> None:
        """Let the model see these as an input."""
        # One assignment for all rows takes a third as long as one for each.
        buffer, size = self._buffers[name], len(values)
        buffer[:size] = values
        if self._sizes[name] != size:
            self._sizes[name] = size
            self._request.set_tensor(name, openvino.Tensor(buffer[:size], shared_memory=True))
