"""The LoRA adapters that a model has loaded, within a room in bytes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from saker.core.errors import AlreadyExists, Conflict, InvalidInput, NotFound, TooLarge, Unsupported
from saker.core.suggest import did_you_mean
from saker.engine.paged.adapter_file import Update, read_adapter
from saker.engine.paged.adapter_graph import Adaptable, Kind
from saker.engine.paged.tensor_file import Matrix

LARGEST = 1e4
"""Far above any trained number. What overflows would, as infinity times the mask's 0 is no number, spoil the answers of
others in the batch."""


@dataclass(frozen=True, eq=False)
class Adapter:
    """One loaded adapter."""

    name: str
    root: bytes
    """What the digests of its sequences begin with: keys and values computed under it are of no use to others, nor to
    whatever is loaded under its name later."""
    stacks: Mapping[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]]
    """Its downs and ups, each [modules, rank, …], by kind. Kinds that it leaves alone are missing."""

    @property
    def bytes(self) -> int:
        """The memory it takes."""
        return sum(down.nbytes + up.nbytes for down, up in self.stacks.values())

    def rank(self, kind: Kind) -> int:
        """How wide its matrices of a kind are."""
        return self.stacks[kind.name][0].shape[1] if kind.name in self.stacks else 0


class Adapters:
    """Loads and forgets adapters of one model. What fails leaves everything as it was."""

    def __init__(self, adaptable: Adaptable, room: int) -> None:
        """
        Args:
            room: Bytes that all together take at most.
        """
        self.room = room
        self._adaptable = adaptable
        self._places = {module: (kind, at) for kind in adaptable.kinds for at, module in enumerate(kind.modules)}
        self._loaded: dict[str, Adapter] = {}
        self._loads = itertools.count(1)

    @property
    def bytes(self) -> int:
        """The memory that all take."""
        return sum(adapter.bytes for adapter in self._loaded.values())

    def get(self, name: str) -> Adapter:
        """The adapter of that name.

        Raises:
            NotFound: None has it.
        """
        if name not in self._loaded:
            raise NotFound(f"No adapter {name!r} is loaded.", fix=did_you_mean(name, self._loaded))
        return self._loaded[name]

    def load(self, name: str, folder: Path) -> Adapter:
        """Read an adapter.

        Raises:
            AlreadyExists: The name is taken.
            InvalidInput: Its files are damaged, are no plain LoRA, do not fit the model, or exceed the room.
        """
        if not name:
            raise InvalidInput("An adapter needs a name.", why="The empty one means the plain model.")
        if name in self._loaded:
            raise AlreadyExists(f"An adapter {name!r} is loaded already.", fix="Unload it first, or take another name.")
        updates = read_adapter(folder)
        ranks = self._ranks(name, updates)
        self._check_room(name, ranks)
        stacks = {kind.name: self._empty(kind, rank) for kind, rank in ranks.items()}
        for module, update in updates.items():
            kind, at = self._places[module]
            downs, ups = stacks[kind.name]
            downs[at, : update.rank] = self._read(name, update.down, 1.0)
            ups[at, : update.rank] = self._read(name, update.up, update.scale).T
        adapter = Adapter(name, next(self._loads).to_bytes(8, "big"), stacks)
        self._loaded[name] = adapter
        return adapter

    def unload(self, name: str, requests: int) -> Adapter:
        """Forget an adapter; returns it.

        Args:
            requests: How many use it now.

        Raises:
            NotFound: None has the name.
            Conflict: A request uses it.
        """
        adapter = self.get(name)
        if requests:
            raise Conflict(
                f"The adapter {name!r} is in use.",
                why=f"{requests} running or waiting requests need it.",
                fix="Unload it when they are over.",
            )
        del self._loaded[name]
        return adapter

    def _ranks(self, name: str, updates: Mapping[str, Update]) -> dict[Kind, int]:
        """How wide each kind's stack has to be."""
        ranks: dict[Kind, int] = {}
        for module, update in updates.items():
            if module not in self._places:
                raise Unsupported(
                    f"The adapter {name!r} changes {module!r}, where this model has no linear layer that can change.",
                    why="Embeddings, experts and the last layer cannot.",
                    fix=did_you_mean(module, self._places),
                )
            kind, _ = self._places[module]
            has, needs = (update.down.shape[1], update.up.shape[0]), (kind.inputs, kind.outputs)
            if has != needs:
                raise InvalidInput(
                    f"The adapter {name!r} does not fit this model at {module!r}.",
                    why=f"It is made for {has[0]} inputs and {has[1]} outputs; there are {needs[0]} and {needs[1]}.",
                    fix="Load it on the model that it was trained on.",
                )
            ranks[kind] = max(ranks.get(kind, 0), update.rank)
        return ranks

    def _check_room(self, name: str, ranks: Mapping[Kind, int]) -> None:
        numbers = sum(len(kind.modules) * rank * (kind.inputs + kind.outputs) for kind, rank in ranks.items())
        needed, left = numbers * self._adaptable.number_bytes, self.room - self.bytes
        if needed > left:
            raise TooLarge(
                f"The adapter {name!r} takes {needed:,} bytes, and there is room for {left:,}.",
                why=f"The {len(self._loaded)} loaded ones take {self.bytes:,} of {self.room:,}.",
                fix="Unload one, or deploy with more room for adapters.",
            )

    def _empty(self, kind: Kind, rank: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        count = len(kind.modules)
        return self._adaptable.empty((count, rank, kind.inputs)), self._adaptable.empty((count, rank, kind.outputs))

    def _read(self, name: str, matrix: Matrix, scale: float) -> npt.NDArray[Any]:
        with np.errstate(over="ignore", invalid="ignore"):  # checked below
            values = matrix.read() * np.float32(scale)
        if not (np.abs(values) <= LARGEST).all():  # NaN, too
            raise InvalidInput(
                f"The adapter {name!r} holds a number that is none or beyond {LARGEST:g}.",
                why="Its training has diverged, or the file is damaged.",
            )
        return self._adaptable.numbers(values)
