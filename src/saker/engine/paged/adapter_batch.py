"""Shows the model the adapters that a step needs, and each token its own.

Adapters that answer together lie side by side in memory, which takes copying. So a set of them is kept while it holds
all that is needed and not much else: requests come and go with every few steps, and their adapters return.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino

from saker.engine.paged.adapter_graph import Adaptable, Kind
from saker.engine.paged.adapters import Adapter

MOST_IDLE = 2
"""Adapters without a token in the step stay while all are at most so many times as large as those with one."""

_NO_MASK = np.zeros((1, 0), np.float32)


def mask_table(ranks: Sequence[int]) -> npt.NDArray[np.float32]:
    """For adapters of these ranks, side by side: which columns are whose. Row 0 is the plain model's, and has none."""
    table = np.zeros((len(ranks) + 1, sum(ranks)), np.float32)
    ends = np.cumsum(ranks)
    for place, (rank, end) in enumerate(zip(ranks, ends, strict=True), 1):
        table[place, end - rank : end] = 1
    return table


@dataclass(frozen=True)
class SideBySide:
    """Some adapters' matrices, together."""

    adapters: tuple[Adapter, ...]
    stacks: dict[Kind, tuple[npt.NDArray[Any], npt.NDArray[Any]]]
    masks: dict[tuple[int, ...], list[str]]
    """The mask inputs by the adapters' ranks: most have the same, and so the same mask."""


class AdapterInputs:
    """The adapter inputs of one inference request."""

    def __init__(self, request: Any, adaptable: Adaptable) -> None:
        self._request = request
        self._adaptable = adaptable
        self._none = self._put(())
        self._kept = self._none
        """The last ones that took copying."""
        self._bound = self._none
        self._tables: list[tuple[npt.NDArray[np.float32], list[str]]] = []
        self._masks: list[npt.NDArray[np.float32]] = []
        """What the request looks at."""
        self._owners = np.zeros(0, np.intp)
        """Of each token of the last step; rows of the tables."""
        self._bind(self._none)

    def fill(self, adapters: Sequence[Adapter | None], lengths: Sequence[int]) -> None:
        """Set the inputs for rows of so many tokens, each with an adapter or none."""
        active = tuple(dict.fromkeys(adapter for adapter in adapters if adapter is not None))
        chosen = self._choose(active)
        is_new = chosen != self._bound.adapters
        if is_new:
            self._bind(self._find(chosen))
        if not chosen:
            return
        places = {adapter: place for place, adapter in enumerate(chosen, 1)}
        owners = np.repeat([places[adapter] if adapter else 0 for adapter in adapters], lengths)
        if is_new or not np.array_equal(owners, self._owners):
            self._owners = owners
            masks = [self._set_mask(table[owners], names) for table, names in self._tables]
            self._masks = masks  # only now may the old ones go

    def forget(self, adapter: Adapter) -> None:
        """Let go of an adapter's memory."""
        if adapter in self._kept.adapters:
            self._kept = self._none
        if adapter in self._bound.adapters:
            self._bind(self._none)

    def _choose(self, active: tuple[Adapter, ...]) -> tuple[Adapter, ...]:
        """Those of a step, perhaps with those of earlier ones."""
        if len(active) < 2:
            return active  # needs no copying
        together = tuple(dict.fromkeys(self._kept.adapters + active))
        return together if _bytes(together) <= MOST_IDLE * _bytes(active) else active

    def _find(self, adapters: tuple[Adapter, ...]) -> SideBySide:
        if len(adapters) < 2:
            return self._put(adapters)
        if adapters != self._kept.adapters:
            self._bind(self._none)
            self._kept = self._none  # never two copies at once
            self._kept = self._put(adapters)
        return self._kept

    def _put(self, adapters: tuple[Adapter, ...]) -> SideBySide:
        stacks: dict[Kind, tuple[npt.NDArray[Any], npt.NDArray[Any]]] = {}
        masks: dict[tuple[int, ...], list[str]] = {}
        for kind in self._adaptable.kinds:
            masks.setdefault(tuple(adapter.rank(kind) for adapter in adapters), []).append(kind.mask)
            parts = [adapter.stacks[kind.name] for adapter in adapters if kind.name in adapter.stacks]
            if len(parts) == 1:
                stacks[kind] = parts[0]
            elif parts:
                downs, ups = zip(*parts, strict=True)
                stacks[kind] = np.concatenate(downs, axis=1), np.concatenate(ups, axis=1)
            else:
                count = len(kind.modules)
                shapes = (count, 0, kind.inputs), (count, 0, kind.outputs)
                stacks[kind] = self._adaptable.empty(shapes[0]), self._adaptable.empty(shapes[1])
        return SideBySide(adapters, stacks, masks)

    def _bind(self, wanted: SideBySide) -> None:
        for kind, (down, up) in wanted.stacks.items():
            self._request.set_tensor(kind.down, self._adaptable.tensor(down))
            self._request.set_tensor(kind.up, self._adaptable.tensor(up))
        self._bound = wanted
        self._tables = [(mask_table(ranks), names) for ranks, names in wanted.masks.items() if any(ranks)]
        for ranks, names in wanted.masks.items():
            if not any(ranks):
                self._set_mask(_NO_MASK, names)

    def _set_mask(self, mask: npt.NDArray[np.float32], names: list[str]) -> npt.NDArray[np.float32]:
        tensor = openvino.Tensor(mask, openvino.Shape(mask.shape), openvino.Type.f32)
        for name in names:
            self._request.set_tensor(name, tensor)
        return mask


def _bytes(adapters: Iterable[Adapter]) -> int:
    return sum(adapter.bytes for adapter in adapters)
