"""What every engine offers to the worker's loop.

An engine is driven by one thread: the loop calls `submit`, `cancel`, `step` and `close` and never two at once, so an
engine needs no locks. `step` advances every running request together and reports what that added; between two steps
the loop takes in new requests and cancellations, which is what makes both take effect within one step.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from saker.core.errors import InvalidInput, Unsupported
from saker.engine.messages import Capabilities, Chunk, Embedded, Failed, GenerateRequest, Ready, Sampling

ENGINES_BY_PARAMETER = {
    "typical_p": "paged",
    "logit_bias": "paged",
    "watermark": "paged",
    "top_logprobs": "paged",
    "best_of": "paged",
    "prompt_logprobs": "paged",
    "grammar": "paged",
    "adapter": "paged",
}
"""The engine that can, for parameters that some cannot; named in refusals."""


MOST_TOP_LOGPROBS = 20
"""Source: https://platform.openai.com/docs/api-reference/chat/create (top_logprobs)."""

MOST_ANSWERS = 128
"""To one request."""


class EngineOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """How to run one model; the launcher passes it to the worker as JSON."""

    model_path: str
    """The prepared model's folder (or GGUF file)."""
    precision: str = "default"
    """Arithmetic and KV cache: "default" (the engine's fastest here), "bf16", or "fp32" (equal to the reference,
    slower)."""
    max_context: int | None = None
    """Tokens of prompt and answer together; None takes the model's own limit."""
    max_sequences: int = 256
    """How many answers run at once; further requests wait in the engine's queue."""
    kv_cache_bytes: int | None = None
    """Room for keys and values; None lets the engine choose."""
    threads: int | None = None
    """CPU threads; None uses all cores that the process may use."""
    device: str = "auto"
    """"auto", "cpu", "cuda"."""
    continuous_batching: bool = False
    """Whether the engine "transformers" puts all requests through the model together: for GPUs, and greedy only, since
    its manager draws all tokens in one way."""
    chat_template: str | None = None
    """A Jinja template in place of the model's own."""
    trust_remote_code: bool = False
    fallback: str | None = None
    """The engine to take where the first cannot load the model; None gives up."""
    adapters: dict[str, str] = {}
    """LoRA adapters to load at the start: folders by name."""
    adapter_bytes: int = 0
    """Room for LoRA adapters, those of the start included; 0 is none, and costs nothing. Those that answer together are
    copied side by side, which takes at most as much again."""
    speculation: int = 0
    """At most how many tokens to guess ahead from what the text repeats; in 32 bits the answers stay the
    same. 0 is off."""


class Engine(Protocol):
    """One loaded model. Constructing it loads the model and raises a `SakerError` when that cannot work."""

    def describe(self) -> Ready:
        """What runs here and what it can do. Cheap; the same every time."""
        ...

    def submit(self, id: int, request: GenerateRequest) -> None:
        """Take a request in. It has passed `check` already.

        Raises:
            InvalidInput: The request does not fit the model (too long, no chat template); nothing was taken in.
        """
        ...

    def embed(self, id: int, inputs: tuple[str, ...]) -> Embedded:
        """Embed texts, at once.

        Raises:
            Unsupported: The model has no embeddings.
        """
        ...

    def cancel(self, id: int) -> None:
        """Forget a request and free what it holds. Unknown ids are ignored; safe to call twice."""
        ...

    def has_work(self) -> bool:
        """Whether a call of `step` would do something."""
        ...

    def step(self) -> list[Chunk | Failed]:
        """Advance all running requests by one step. Requests that do not stream report once, when they end.

        A request that fails alone is reported as `Failed`, and is over. An exception fails all that run.
        """
        ...

    def close(self) -> None:
        """Free the model. The last call."""
        ...


@runtime_checkable
class HoldsAdapters(Protocol):
    """An engine whose requests may each name a LoRA adapter. Called between two steps; what runs is not disturbed."""

    def load_adapter(self, name: str, path: str) -> None:
        """Load the adapter of a folder.

        Raises:
            AlreadyExists: The name is taken.
            InvalidInput: It does not fit the model, the room or what this engine can do; nothing has changed.
        """
        ...

    def unload_adapter(self, name: str) -> None:
        """Forget an adapter.

        Raises:
            NotFound: None has that name.
            Conflict: A request uses it.
        """
        ...


def check(request: GenerateRequest, capabilities: Capabilities, engine: str) -> None:
    """Refuse what the engine would otherwise drop silently, and values outside their range.

    Raises:
        Unsupported: A parameter or task that this engine does not honour.
        InvalidInput: A value outside its range.
    """
    task = "chat" if request.messages is not None else "generate"
    if task not in capabilities.tasks:
        raise _missing_task(task, engine)
    for name in _used_parameters(request):
        if name not in capabilities.parameters:
            raise Unsupported(
                f"The engine {engine!r} of this endpoint cannot honour {name!r}.", fix=_instead(name, engine)
            )
    _check_ranges(request)


def _instead(parameter: str, engine: str) -> str:
    other = ENGINES_BY_PARAMETER.get(parameter)
    if engine == "transformers":
        return "Leave it out, or deploy without SAKER_CONTINUOUS_BATCHING."
    if other == engine:  # a switch that this deployment left off
        return "Leave it out, or deploy with room for adapters: LORA_ADAPTERS or SAKER_ADAPTER_BYTES."
    return f"Leave it out, or deploy with the engine {other!r}." if other else "Leave it out."


def _missing_task(task: str, engine: str) -> Unsupported:
    if task == "chat":
        return Unsupported(
            "This model has no chat template, so it cannot lay out a conversation.",
            fix="Send plain text (InvokeEndpoint, /v1/completions), or deploy with a chat template.",
        )
    return Unsupported(f"The model of this endpoint cannot {task} (engine {engine!r}).")


def _used_parameters(request: GenerateRequest) -> list[str]:
    defaults = Sampling()
    used = [
        name
        for name in Sampling.__struct_fields__
        if name != "temperature" and getattr(request.sampling, name) != getattr(defaults, name)
    ]
    if request.sampling.temperature > 0:
        used.append("temperature")
    switches = ("stop", "logprobs", "ignore_eos", "logit_bias", "watermark", "top_logprobs", "priority")
    used += [name for name in (*switches, "prompt_logprobs", "adapter") if getattr(request, name)]
    used += [name for name in ("truncate", "deadline_s", "grammar") if getattr(request, name) is not None]
    return used + [name for name in ("n", "best_of") if getattr(request, name) != 1]


_RANGES: dict[str, tuple[float, float, bool, str]] = {
    # name: (low, high, low is allowed, range in words)
    "temperature": (0.0, 100.0, True, "between 0 and 100"),
    "top_k": (0, 1 << 31, True, "0 (off) or above"),
    "top_p": (0.0, 1.0, False, "above 0 and at most 1"),
    "min_p": (0.0, 1.0, True, "between 0 and 1"),
    "typical_p": (0.0, 1.0, False, "above 0 and at most 1"),
    "repetition_penalty": (0.0, 100.0, False, "above 0 and at most 100"),
    "frequency_penalty": (-2.0, 2.0, True, "between -2 and 2"),
    "presence_penalty": (-2.0, 2.0, True, "between -2 and 2"),
}


def _check_ranges(request: GenerateRequest) -> None:
    for name, (low, high, low_allowed, words) in _RANGES.items():
        value = getattr(request.sampling, name)
        inside = (low <= value if low_allowed else low < value) and value <= high
        if not inside:  # also catches NaN
            raise InvalidInput(f"Parameter {name!r} is {value!r}; it must be {words}.")
    for name in ("max_new_tokens", "truncate", "n", "best_of"):
        value = getattr(request, name)
        if value is not None and value < 1:
            raise InvalidInput(f"Parameter {name!r} is {value!r}; it must be at least 1.")
    if not 0 <= request.top_logprobs <= MOST_TOP_LOGPROBS:
        raise InvalidInput(
            f"Parameter 'top_logprobs' is {request.top_logprobs}; it must be between 0 and {MOST_TOP_LOGPROBS}."
        )
    if any(not -100 <= bias <= 100 for bias in request.logit_bias.values()):  # NaN, too
        raise InvalidInput("Parameter 'logit_bias' holds a bias that is not between -100 and 100.")
    if "" in request.stop:
        raise InvalidInput("A stop string is empty; it must hold at least one character.")
    for name in ("n", "best_of"):
        if getattr(request, name) > MOST_ANSWERS:
            raise InvalidInput(f"Parameter {name!r} is {getattr(request, name)}; it must be at most {MOST_ANSWERS}.")
    if 1 < request.best_of < request.n:
        raise InvalidInput(f"Parameter 'best_of' is {request.best_of}; it must be at least n, which is {request.n}.")
    if request.best_of > 1 and request.stream:
        raise InvalidInput("Parameter 'best_of' cannot be streamed: which answer is best shows at the end.")
    if request.best_of > 1 and request.sampling.temperature <= 0:
        raise InvalidInput("Parameter 'best_of' needs a temperature: greedy answers are all the same.")
    given = [name for name in ("prompt", "tokens", "messages") if getattr(request, name) is not None]
    if len(given) != 1:
        raise InvalidInput(f"Exactly one of prompt, tokens and messages is needed; got {', '.join(given) or 'none'}.")
