"""OpenAI's requests, with the names and defaults of its API, and what they mean to an engine.

Source: https://platform.openai.com/docs/api-reference/chat/create and .../completions/create, .../embeddings/create
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from saker.core.errors import InvalidInput, Unsupported
from saker.engine.messages import GenerateRequest, Grammar, Message, Sampling


class StreamOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a stream carries besides text."""

    include_usage: bool = False
    include_obfuscation: bool = False


class Common(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What both kinds of completion take. The lower fields are accepted because they do not change an answer."""

    model: str
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = None
    seed: int | None = None
    stop: str | tuple[str, ...] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    logit_bias: dict[str, float] | None = None
    # Beyond OpenAI's own, as other open-model servers take them.
    top_k: int | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repetition_penalty: float | None = None
    # About the caller and its records, not about the answer.
    user: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None


class TextPart(msgspec.Struct, frozen=True):
    """A part of a message's content."""

    type: Literal["text"]
    text: str


class ChatMessage(msgspec.Struct, frozen=True):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | tuple[TextPart, ...] | None = None
    name: str | None = None


class ChatRequest(Common, frozen=True, kw_only=True):
    """POST /v1/chat/completions."""

    messages: tuple[ChatMessage, ...]
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: dict[str, Any] | None = None
    tools: tuple[dict[str, Any], ...] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None


class CompletionRequest(Common, frozen=True, kw_only=True):
    """POST /v1/completions."""

    prompt: str | tuple[str | int | tuple[int, ...], ...]
    """Text, texts, tokens, or lists of tokens."""
    max_tokens: int | None = 16
    logprobs: int | None = None
    echo: bool | None = False
    suffix: str | None = None
    best_of: int | None = None


class EmbeddingRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /v1/embeddings."""

    model: str
    input: str | tuple[str, ...]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    user: str | None = None


def chat_to_generate(request: ChatRequest) -> GenerateRequest:
    """The conversation as engines take it.

    Raises:
        InvalidInput: A value outside its range.
        Unsupported: It asks for what is not served.
    """
    _refuse(tools=bool(request.tools))
    if request.top_logprobs and not request.logprobs:
        raise InvalidInput("'top_logprobs' needs 'logprobs' to be true.")
    if not request.messages:
        raise InvalidInput("'messages' is empty.", fix="Send at least one message.")
    limit = request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens
    return GenerateRequest(
        messages=tuple(Message(message.role, _text(message)) for message in request.messages),
        max_new_tokens=limit,
        sampling=_sampling(request),
        stop=_stop(request),
        n=request.n or 1,
        logprobs=bool(request.logprobs),
        top_logprobs=request.top_logprobs or 0,
        logit_bias=_logit_bias(request),
        grammar=_grammar(request.response_format),
        stream=bool(request.stream),
    )


def completion_to_generate(request: CompletionRequest) -> list[GenerateRequest]:
    """One request for each prompt.

    Raises:
        InvalidInput: A value outside its range.
        Unsupported: It asks for what is not served.
    """
    _refuse(suffix=bool(request.suffix), logprobs=(request.logprobs or 0) > 1)
    n = request.n or 1
    best_of = n if request.best_of is None else request.best_of
    common = GenerateRequest(
        max_new_tokens=request.max_tokens,
        sampling=_sampling(request),
        stop=_stop(request),
        n=n,
        best_of=best_of if best_of != n else 1,  # all of them, and then there is nothing to choose
        logprobs=request.logprobs is not None,
        logit_bias=_logit_bias(request),
        stream=bool(request.stream),
    )
    prompts = _prompts(request.prompt)
    if not prompts:
        raise InvalidInput("'prompt' is empty.", fix="Send at least one prompt.")
    return [
        msgspec.structs.replace(common, **{"prompt" if isinstance(prompt, str) else "tokens": prompt})
        for prompt in prompts
    ]


def _grammar(form: dict[str, Any] | None) -> Grammar | None:
    """The form that `response_format` asks for.

    Source: https://platform.openai.com/docs/guides/structured-outputs
    """
    match form or {"type": "text"}:
        case {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return Grammar("json_schema", '{"type": "object"}')
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            return Grammar("json_schema", msgspec.json.encode(schema).decode())
    raise InvalidInput(
        "'response_format' is none that is served.",
        fix='Send {"type": "text"}, {"type": "json_object"}, or {"type": "json_schema", "json_schema": {"schema": …}}.',
    )


def _prompts(prompt: str | tuple[str | int | tuple[int, ...], ...]) -> list[str | tuple[int, ...]]:
    if isinstance(prompt, str):
        return [prompt]
    tokens = tuple(entry for entry in prompt if isinstance(entry, int))
    if not tokens:
        return [entry for entry in prompt if not isinstance(entry, int)]
    if len(tokens) < len(prompt):
        raise InvalidInput("'prompt' mixes token ids with texts.", fix="Send one kind.")
    return [tokens]


def _text(message: ChatMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    return "".join(part.text for part in message.content or ())


def _stop(request: Common) -> tuple[str, ...]:
    return (request.stop,) if isinstance(request.stop, str) else request.stop or ()


def _sampling(request: Common) -> Sampling:
    """OpenAI draws at temperature 1 unless told otherwise."""
    return Sampling(
        temperature=1.0 if request.temperature is None else request.temperature,
        top_k=request.top_k or 0,
        top_p=1.0 if request.top_p is None else request.top_p,
        min_p=request.min_p or 0.0,
        typical_p=1.0 if request.typical_p is None else request.typical_p,
        repetition_penalty=1.0 if request.repetition_penalty is None else request.repetition_penalty,
        frequency_penalty=request.frequency_penalty or 0.0,
        presence_penalty=request.presence_penalty or 0.0,
        seed=request.seed,
    )


def _logit_bias(request: Common) -> dict[int, float]:
    """JSON's keys are text; here they are token ids."""
    try:
        return {int(token): bias for token, bias in (request.logit_bias or {}).items()}
    except ValueError:
        raise InvalidInput("'logit_bias' has a key that is no token id.") from None


def _refuse(**asked: bool) -> None:
    for name, is_asked in asked.items():
        if is_asked:
            raise Unsupported(f"Parameter {name!r} with this value is not served here.", fix="Leave it out.")
