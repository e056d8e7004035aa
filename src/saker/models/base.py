"""What the models room takes and gives: a model's source, how it is wanted, and the folder that an engine can load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, get_args

from saker.core.errors import InvalidInput
from saker.core.suggest import did_you_mean
from saker.models.source import ModelSource
from saker.settings import Secret

EngineChoice = Literal["auto", "genai", "paged", "transformers", "fake"]
EngineName = Literal["genai", "paged", "transformers", "fake"]
WeightFormat = Literal["int8", "int4", "fp16", "bf16", "fp32"]
ModelFormat = Literal["openvino", "gguf", "safetensors", "fake"]
Phase = Literal["resolve", "download", "check", "convert", "install"]


@dataclass(frozen=True)
class Preparation:
    """One request to make a model loadable."""

    source: ModelSource
    engine: EngineChoice = "auto"
    """ "auto" takes the fastest engine that can load the model."""
    weight_format: WeightFormat = "int8"
    """Applies where Saker converts; files that an engine reads as they are keep theirs, and a note says so."""
    trust_remote_code: bool = False
    """Whether Python code in the model's folder may run during conversion and serving."""
    hub_token: Secret = field(default_factory=lambda: Secret(""))
    """Empty falls back to the token that `hf auth login` stored."""
    hub_endpoint: str = "https://huggingface.co"
    refresh: bool = False
    """Ask the hub again whether a branch or tag has moved; False reuses what was prepared before, offline."""

    def __post_init__(self) -> None:
        _one_of("engine", self.engine, get_args(EngineChoice))
        _one_of("weight format", self.weight_format, get_args(WeightFormat))


@dataclass(frozen=True)
class MemoryEstimate:
    """What serving the model takes, before it is tried; see `memory.py` for the arithmetic."""

    weights_bytes: int
    kv_bytes_per_token: int
    """Keys and values of one token in all layers, at 16 bits each; 0 where the configuration does not tell."""
    max_context: int
    """Tokens of one full conversation, as the model declares; 0 where it does not."""
    runtime_bytes: int
    """The engine process itself: libraries, compiled kernels, activations."""

    @property
    def total_bytes(self) -> int:
        """Weights, runtime, and the keys and values of one conversation that fills the context."""
        return self.weights_bytes + self.runtime_bytes + self.kv_bytes_per_token * self.max_context


@dataclass(frozen=True)
class PreparedModel:
    """A model that an engine can load now."""

    path: Path
    """The folder; for format "gguf" the file."""
    engine: EngineName
    format: ModelFormat
    content_hash: str
    """Hexadecimal; equal files and settings give equal hashes."""
    bytes_on_disk: int
    memory: MemoryEstimate
    revision: str = ""
    """The hub commit; empty for other sources."""
    notes: tuple[str, ...] = ()
    """What was chosen and why, one sentence each, for people to read."""

    @property
    def estimated_memory_bytes(self) -> int:
        """Bytes that one replica is expected to take."""
        return self.memory.total_bytes


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a preparation or an installation is."""

    phase: Phase
    message: str = ""
    done: int = 0
    total: int = 0
    """0 where it is not known."""
    unit: Literal["bytes", "files", "steps"] = "bytes"

    @property
    def fraction(self) -> float | None:
        """Between 0 and 1; None where the total is not known."""
        return min(self.done / self.total, 1.0) if self.total else None


ProgressCallback = Callable[[Progress], None]
"""Called on the event loop, at most a few times a second; must not block."""


class ModelPreparer(Protocol):
    """Makes models loadable. `ModelStore` is the real one."""

    async def prepare(self, request: Preparation, progress: ProgressCallback) -> PreparedModel:
        """The model, ready to load; fetches, checks and converts what is missing.

        Equal requests at the same time share one run. Cancelling a caller ends the run when nobody else waits for it.

        Raises:
            NotFound: The source does not exist.
            PermissionDenied: The hub refuses the model to this token.
            InvalidInput: The model's files are incomplete, damaged or unsafe.
            Unsupported: No engine here can load it.
            Unavailable: The hub cannot be reached, or disk or memory do not suffice at the moment.
            DeadlineExceeded: Conversion ran past its time limit.
        """
        ...


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InvalidInput(
            f"Unknown {what} {value!r}.",
            why=f"It must be one of {', '.join(known)}.",
            fix=did_you_mean(value, known) if len(known) > 1 else "",
        )
