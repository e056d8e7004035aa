"""Text Generation Inference's JSON: {"inputs", "parameters"} in, [{"generated_text"}] or token events out.

Names, defaults and meanings are TGI's; what the engine here cannot honour is refused and never dropped.

Source: https://huggingface.co/docs/text-generation-inference/reference/api_reference
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import msgspec

from saker.core.errors import InvalidInput, SakerError
from saker.doors.bodies import read_json
from saker.engine.base import MOST_TOP_LOGPROBS
from saker.engine.messages import Chunk, Finish, GenerateRequest, Grammar, Sampling, Token

DEFAULT_MAX_NEW_TOKENS = 100


class GrammarParameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The form that an answer must have."""

    type: Literal["json", "json_schema", "regex"]
    value: Any
    """A JSON schema (with `json_schema` inside of {"name", "schema"}), or a regular expression."""


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to generate; None is "not given"."""

    adapter_id: str | None = None
    best_of: int | None = None
    decoder_input_details: bool = False
    details: bool = False
    do_sample: bool = False
    frequency_penalty: float | None = None
    grammar: GrammarParameter | None = None
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


def read(body: bytes) -> TgiRequest:
    """The request in a body.

    Raises:
        InvalidInput: It does not fit; names the nearest right field for a wrong one.
    """
    request = read_json(body, TgiRequest)
    if not request.inputs:
        raise InvalidInput("`inputs` cannot be empty.")
    return request


def to_generate(request: TgiRequest, *, stream: bool) -> GenerateRequest:
    """The same request as engines take it."""
    given = request.parameters
    best_of = 1 if given.best_of is None else given.best_of
    if given.decoder_input_details and stream:
        raise InvalidInput("`decoder_input_details` is true, which streams do not have.", fix="Ask for a whole answer.")
    if not 0 <= (given.top_n_tokens or 0) <= MOST_TOP_LOGPROBS:
        raise InvalidInput(f"`top_n_tokens` is {given.top_n_tokens}; it must be between 0 and {MOST_TOP_LOGPROBS}.")
    sampling = _sampling(given)
    if best_of > 1 and sampling.temperature <= 0:
        raise InvalidInput("`best_of` is above 1 without sampling.", fix="Set `do_sample` to true.")
    return GenerateRequest(
        prompt=request.inputs,
        max_new_tokens=DEFAULT_MAX_NEW_TOKENS if given.max_new_tokens is None else given.max_new_tokens,
        sampling=sampling,
        stop=given.stop,
        n=best_of if given.details else 1,
        best_of=best_of,
        logprobs=stream or given.details,
        top_logprobs=(given.top_n_tokens or 0) if stream or given.details else 0,
        prompt_logprobs=given.decoder_input_details and given.details,
        truncate=given.truncate,
        watermark=given.watermark,
        grammar=_grammar(given.grammar),
        adapter=given.adapter_id or "",
        stream=stream,
    )


def _grammar(given: GrammarParameter | None) -> Grammar | None:
    if given is None:
        return None
    if given.type == "regex":
        if not isinstance(given.value, str):
            raise InvalidInput("`grammar` of the type 'regex' needs a text as its value.")
        return Grammar("regex", given.value)
    schema = given.value
    if given.type == "json_schema":
        schema = schema.get("schema") if isinstance(schema, dict) else None
    if isinstance(schema, str):  # as TGI's clients send it, too
        return Grammar("json_schema", schema)
    return Grammar("json_schema", _encode(schema).decode())


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


class PrefillEntry(msgspec.Struct, frozen=True):
    """One token of the prompt on the wire."""

    id: int
    text: str
    logprob: float | None


class AnswerDetails(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is told of each answer."""

    finish_reason: str
    generated_tokens: int
    seed: int | None
    prefill: list[PrefillEntry]
    tokens: list[TokenEntry]
    top_tokens: list[list[TokenEntry]] | None = None


class BestOfSequence(AnswerDetails, frozen=True, omit_defaults=True, kw_only=True):
    """An answer with its text."""

    generated_text: str


class Details(AnswerDetails, frozen=True, omit_defaults=True, kw_only=True):
    """What `details` asks for."""

    best_of_sequences: list[BestOfSequence] | None = None
    """The answers that were not the best."""


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
    top_tokens: list[TokenEntry] | msgspec.UnsetType = msgspec.UNSET


_encode = msgspec.json.Encoder().encode


def respond(request: TgiRequest, chunks: Sequence[Chunk]) -> bytes:
    """The body of a whole answer: a list of one, as SageMaker's TGI containers answer."""
    answers = [[chunk for chunk in chunks if chunk.index == index] for index in sorted({c.index for c in chunks})]
    best, *others = [_sequence(request, answer) for answer in answers]
    answer: dict[str, Any] = {"generated_text": best.generated_text}
    if request.parameters.details:
        shared = msgspec.structs.asdict(best)
        del shared["generated_text"]
        answer["details"] = Details(**shared, best_of_sequences=others or None)
    return _encode([answer])


def _sequence(request: TgiRequest, chunks: Sequence[Chunk]) -> BestOfSequence:
    """One answer, from its chunks."""
    finish = chunks[-1].finish
    assert finish is not None, "a whole answer ends"
    tokens = [token for chunk in chunks for token in chunk.tokens]
    return BestOfSequence(
        generated_text=_full(request, "".join(chunk.text for chunk in chunks)),
        finish_reason=finish.reason,
        generated_tokens=finish.generated_tokens,
        seed=finish.seed,
        prefill=[PrefillEntry(token.id, token.text, token.logprob) for chunk in chunks for token in chunk.prompt],
        tokens=[_entry(token) for token in tokens],
        top_tokens=[_top(token) for token in tokens] if request.parameters.top_n_tokens else None,
    )


async def events(request: TgiRequest, chunks: AsyncIterator[Chunk]) -> AsyncIterator[bytes]:
    """The server-sent events of a streamed answer, one for each token."""
    text: list[str] = []
    index = 0
    async for chunk in chunks:
        text.append(chunk.text)
        tokens = _entries(chunk)
        for position, token in enumerate(tokens):
            index += 1
            tops = _tops_at(request, chunk, position)
            if chunk.finish is not None and position == len(tokens) - 1:
                full = _full(request, "".join(text))
                event = StreamEvent(index, token, full, _stream_details(chunk.finish), tops)
            else:
                event = StreamEvent(index, token, top_tokens=tops)
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


def _top(token: Token) -> list[TokenEntry]:
    return [_entry(likely) for likely in token.top]


def _tops_at(request: TgiRequest, chunk: Chunk, position: int) -> list[TokenEntry] | msgspec.UnsetType:
    if not request.parameters.top_n_tokens or position >= len(chunk.tokens):
        return msgspec.UNSET
    return _top(chunk.tokens[position])


def _full(request: TgiRequest, text: str) -> str:
    return request.inputs + text if request.parameters.return_full_text else text
