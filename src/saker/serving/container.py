"""Reads a container's environment: which model, on which engine, with which limits.

Strict: a variable that nothing honours fails the endpoint at once and names the nearest right one. A misspelt limit,
silently ignored, is found out in production; this way it is found out at the deploy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, get_args

from saker.core.errors import InvalidInput
from saker.core.suggest import did_you_mean
from saker.models.base import EngineChoice, WeightFormat
from saker.serving.base import Container
from saker.settings import Settings

MODEL_VARIABLES = {
    "HF_MODEL_ID": "The model: a hub id, a local folder, or a .gguf file.",
    "HF_MODEL_REVISION": "The hub revision: branch, tag or commit.",
    "HF_TOKEN": "The hub token for gated models.",
    "HUGGING_FACE_HUB_TOKEN": "The older name of HF_TOKEN.",
    "HF_TASK": "The task; text-generation.",
    "MAX_TOTAL_TOKENS": "The longest prompt and answer together, in tokens.",
    "SAKER_ENGINE": "auto, genai, paged, transformers or fake.",
    "SAKER_WEIGHT_FORMAT": "int8, int4, fp16, bf16 or fp32.",
    "SAKER_PRECISION": "default or fp32: arithmetic and KV cache.",
    "SAKER_THREADS": "CPU threads of each replica.",
    "SAKER_KV_CACHE_BYTES": "Room for keys and values, in bytes.",
    "SAKER_MAX_SEQUENCES": "Answers that run at once in a replica.",
    "SAKER_CONTINUOUS_BATCHING": "1 lets the engine transformers batch, for GPUs; it is greedy only then.",
    "LORA_ADAPTERS": "LoRA adapters to load, for the engine paged: NAME=FOLDER, several with commas between them.",
    "SAKER_ADAPTER_BYTES": "Room for LoRA adapters, in bytes; 256 MiB where LORA_ADAPTERS names some.",
    "SAKER_SPECULATION": "Tokens that the engine paged guesses ahead at most; in 32 bits no answer changes. 0 is off.",
    "SAKER_CHAT_TEMPLATE": "A Jinja chat template in place of the model's own.",
    "SAKER_TRUST_REMOTE_CODE": "1 runs code that the model brings along. Off by default.",
    "SAKER_STRICT_ENV": "warn lets unknown variables pass.",
}
"""Every environment variable that a model's container may set, and what it means."""

TASKS = ("text-generation",)
ENGINES: tuple[EngineChoice, ...] = get_args(EngineChoice)
WEIGHT_FORMATS: tuple[WeightFormat, ...] = get_args(WeightFormat)
PRECISIONS = ("default", "fp32")
SWITCH = {"0": False, "false": False, "1": True, "true": True}
MAX_COUNT = 1 << 62
"""Above any machine; the frames to the worker hold no larger numbers."""

ADAPTER_BYTES = 256 * 1024**2

T = TypeVar("T", bound=str)


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """What a container asks for, read and checked."""

    source: str
    """As a person names a model: path, hub id, URL."""
    revision: str | None
    token: str
    engine: EngineChoice
    weight_format: WeightFormat
    precision: str
    max_context: int | None
    threads: int | None
    kv_cache_bytes: int | None
    max_sequences: int | None
    continuous_batching: bool
    speculation: int
    adapters: dict[str, str]
    """Folders by name."""
    adapter_bytes: int
    chat_template: str | None
    trust_remote_code: bool


def read_container(container: Container, settings: Settings) -> ModelPlan:
    """What the container asks for; what it leaves open comes from the settings.

    Raises:
        InvalidInput: An unknown variable, a value outside its range, or no model named.
    """
    environment = container.environment
    _refuse_unknown(environment)
    source = environment.get("HF_MODEL_ID") or container.model_data
    if not source:
        raise InvalidInput(
            "The container names no model.",
            fix="Set HF_MODEL_ID in its Environment to a hub id or a folder, or give a ModelDataUrl.",
        )
    _one_of("HF_TASK", environment.get("HF_TASK") or TASKS[0], TASKS)
    adapters = _adapters(environment.get("LORA_ADAPTERS") or "")
    return ModelPlan(
        source=source,
        revision=environment.get("HF_MODEL_REVISION") or None,
        token=environment.get("HF_TOKEN") or environment.get("HUGGING_FACE_HUB_TOKEN") or settings.hf_token.reveal(),
        engine=_one_of("SAKER_ENGINE", environment.get("SAKER_ENGINE") or settings.engine, ENGINES),
        weight_format=_one_of(
            "SAKER_WEIGHT_FORMAT", environment.get("SAKER_WEIGHT_FORMAT") or settings.weight_format, WEIGHT_FORMATS
        ),
        precision=_one_of("SAKER_PRECISION", environment.get("SAKER_PRECISION") or settings.precision, PRECISIONS),
        max_context=_count(environment, "MAX_TOTAL_TOKENS"),
        threads=_count(environment, "SAKER_THREADS"),
        kv_cache_bytes=_count(environment, "SAKER_KV_CACHE_BYTES"),
        max_sequences=_count(environment, "SAKER_MAX_SEQUENCES"),
        continuous_batching=_switch(environment, "SAKER_CONTINUOUS_BATCHING"),
        adapters=adapters,
        adapter_bytes=_count(environment, "SAKER_ADAPTER_BYTES", least=0) or (ADAPTER_BYTES if adapters else 0),
        speculation=_count(environment, "SAKER_SPECULATION", least=0) or 0,
        chat_template=environment.get("SAKER_CHAT_TEMPLATE") or None,
        trust_remote_code=_switch(environment, "SAKER_TRUST_REMOTE_CODE"),
    )


def unknown_variables(environment: dict[str, str]) -> list[str]:
    """The names that nothing honours, in order."""
    return sorted(name for name in environment if name not in MODEL_VARIABLES)


def _refuse_unknown(environment: dict[str, str]) -> None:
    unknown = unknown_variables(environment)
    if unknown and environment.get("SAKER_STRICT_ENV") != "warn":
        name = unknown[0]
        raise InvalidInput(
            f"The container's environment sets {name!r}, which nothing here honours.",
            fix=f"{did_you_mean(name, MODEL_VARIABLES)} SAKER_STRICT_ENV=warn beside it lets it pass.".strip(),
        )


def _one_of(name: str, value: str, allowed: tuple[T, ...]) -> T:
    for word in allowed:
        if word == value:
            return word
    raise InvalidInput(f"{name} is {value!r}.", fix=did_you_mean(value, allowed))


def _adapters(text: str) -> dict[str, str]:
    """Folders of adapters by name."""
    found: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, folder = (part.strip() for part in entry.partition("="))
        if not name or not folder:
            raise InvalidInput(f"LORA_ADAPTERS holds {entry!r}.", fix="Write NAME=FOLDER, with commas between several.")
        if name in found:
            raise InvalidInput(f"LORA_ADAPTERS names {name!r} twice.", fix="Give each adapter a name of its own.")
        found[name] = folder
    return found


def _switch(environment: dict[str, str], name: str) -> bool:
    return SWITCH[_one_of(name, environment.get(name) or "0", tuple(SWITCH))]


def _count(environment: dict[str, str], name: str, least: int = 1) -> int | None:
    text = environment.get(name)
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 19 or not least <= int(text) <= MAX_COUNT:
        raise InvalidInput(f"{name} is {text!r}.", fix=f"It must be a whole number, at least {least}.")
    return int(text)
