"""Text Generation Inference's JSON: {"inputs", "parameters"} in, [{"generated_text"}] or token events out.

Names, defaults and meanings are TGI's; what the engine here cannot honour is refused and never dropped.

Source: https://huggingface.co/docs/text-generation-inference/reference/api_reference
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from saker.core.errors import InvalidInput, SakerError, Unsupported
from saker.doors.bodies import read_json
from saker.engine.messages import Chunk, Finish, GenerateRequest, Sampling, Token

DEFAULT_MAX_NEW_TOKENS = 100


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to generate; None is "not given"."""

    adapter_id: str | None = None
    best_of: int | None = None
    decoder_input_details: bool = False
    details: bool = False
    do_sample: bool = False
    frequency_penalty: float | None = None
    grammar: dict[str, Any] | None = None
    max_new_tokens: int | None = None
    repetition_penalty: float | None = None
    return_full_text: bool | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    temperature: float | None = None
    top_k: int | None = None
    top_n_tokens: int | None = None
    top_p: float | None = None
    truncate: int | None = None
    typical_p: float | None = None
    watermark: bool = False


class TgiRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request."""

    inputs: str
    parameters: Parameters = Parameters()
    stream: bool = False


_UNSERVED = ("adapter_id", "decoder_input_details", "grammar", "top_n_tokens")


def read(body: bytes) -> TgiRequest:
    """The request in a body.

    Raises:
        InvalidInput: It does not fit; names the nearest right field for a wrong one.
        Unsupported: It asks for what is not served.
    """
    request = read_json(body, TgiRequest)
    for name in _UNSERVED:
        if getattr(request.parameters, name):
            raise Unsupported(f"Parameter {name!r} is not served here.", fix="Leave it out.")
    if request.parameters.best_of not in (None, 1):
        raise Unsupported("Parameter 'best_of' is not served here.", fix="Leave it out.")
    if not request.inputs:
        raise InvalidInput("`inputs` cannot be empty.")
    return request


def to_generate(request: TgiRequest, *, stream: bool) -> GenerateRequest:
    """The same request as engines take it."""
    given = request.parameters
    return GenerateRequest(
        prompt=request.inputs,
        max_new_tokens=DEFAULT_MAX_NEW_TOKENS if given.max_new_tokens is None else given.max_new_tokens,
        sampling=_sampling(given),
        stop=given.stop,
        logprobs=stream or given.details,
        truncate=given.truncate,
        watermark=given.watermark,
        stream=stream,
    )


def _sampling(given: Parameters) -> Sampling:
    """TGI draws when asked to, or when a parameter is given that only drawing honours."""
    draws = given.do_sample or any(
        (
            given.temperature not in (None, 1.0),
            given.top_k not in (None, 0),
            given.top_p not in (None, 1.0),
            given.typical_p not in (None, 1.0),
        )
    )
    if given.temperature is not None and given.temperature <= 0:
        raise InvalidInput(
            f"`temperature` is {given.temperature}; it must be strictly positive.",
            fix="Leave it out, and `do_sample` false, for greedy decoding.",
        )
    penalties = Sampling(
        repetition_penalty=1.0 if given.repetition_penalty is None else given.repetition_penalty,
        frequency_penalty=given.frequency_penalty or 0.0,
    )
    if not draws:
        return penalties
    return msgspec.structs.replace(
        penalties,
        temperature=1.0 if given.temperature is None else given.temperature,
        top_k=given.top_k or 0,
        top_p=1.0 if given.top_p is None else given.top_p,
        typical_p=1.0 if given.typical_p is None else given.typical_p,
        seed=given.seed,
    )


class TokenEntry(msgspec.Struct, frozen=True):
    """One generated token on the wire."""

    id: int
    text: str
    logprob: float
    special: bool = False


class Details(msgspec.Struct, frozen=True):
    """What `details` asks for."""

    finish_reason: str
    generated_tokens: int
    seed: int | None
    prefill: list[TokenEntry]
    tokens: list[TokenEntry]


class StreamDetails(msgspec.Struct, frozen=True):
    """What ends a stream."""

    finish_reason: str
    generated_tokens: int
    seed: int | None
    input_length: int


class StreamEvent(msgspec.Struct, frozen=True):
    """One event of a stream: a token, and at the end the whole text."""

    index: int
    token: TokenEntry
    generated_text: str | None = None
    details: StreamDetails | None = None


_encode = msgspec.json.Encoder().encode


def respond(request: TgiRequest, chunks: Sequence[Chunk]) -> bytes:
    """The body of a whole answer: a list of one, as SageMaker's TGI containers answer."""
    text = "".join(chunk.text for chunk in chunks)
    answer: dict[str, Any] = {"generated_text": _full(request, text)}
    finish = chunks[-1].finish
    if request.parameters.details and finish is not None:
        tokens = [_entry(token) for chunk in chunks for token in chunk.tokens]
        answer["details"] = Details(finish.reason, finish.generated_tokens, finish.seed, [], tokens)
    return _encode([answer])


async def events(request: TgiRequest, chunks: AsyncIterator[Chunk]) -> AsyncIterator[bytes]:
    """The server-sent events of a streamed answer, one for each token."""
    text: list[str] = []
    index = 0
    async for chunk in chunks:
        text.append(chunk.text)
        tokens = _entries(chunk)
        for position, token in enumerate(tokens):
            index += 1
            is_last = chunk.finish is not None and position == len(tokens) - 1
            if is_last:
                full = _full(request, "".join(text))
                event = StreamEvent(index, token, full, _stream_details(chunk.finish))
            else:
                event = StreamEvent(index, token)
            yield sse(_encode(event))


def error_event(error: SakerError) -> bytes:
    """The event that ends a stream which failed half-way."""
    return sse(_encode({"error": str(error), "error_type": "generation"}))


def sse(data: bytes) -> bytes:
    """One server-sent event. TGI writes no space after the colon, and some clients count on it."""
    return b"data:" + data + b"\n\n"


def _stream_details(finish: Finish | None) -> StreamDetails | None:
    if finish is None:
        return None
    return StreamDetails(finish.reason, finish.generated_tokens, finish.seed, finish.prompt_tokens)


def _entries(chunk: Chunk) -> list[TokenEntry]:
    """The chunk's tokens; the end-of-text token, which has no text, is marked as special."""
    entries = [_entry(token) for token in chunk.tokens]
    if chunk.finish is not None and not entries:
        entries.append(TokenEntry(0, "", 0.0, special=True))  # what ended the answer is no token of its own
    return entries


def _entry(token: Token) -> TokenEntry:
    return TokenEntry(token.id, token.text, token.logprob, special=not token.text)


def _full(request: TgiRequest, text: str) -> str:
    return request.inputs + text if request.parameters.return_full_text else text
