"""OpenAI's responses and stream chunks. Pure."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from saker.core import ids
from saker.core.errors import SakerError
from saker.doors.openai.errors import describe
from saker.engine.messages import Chunk, Embedded, Token

FINISH = {"length": "length", "eos_token": "stop", "stop_sequence": "stop"}

encode = msgspec.json.Encoder().encode


class Head(msgspec.Struct, frozen=True):
    """What every object of one answer carries."""

    id: str
    object: str
    created: int
    model: str


def new_head(kind: str, model: str, now: float) -> Head:
    """A fresh head; `kind` is "chat.completion" or "text_completion"."""
    prefix = "chatcmpl-" if kind.startswith("chat") else "cmpl-"
    return Head(prefix + ids.short_id(24), kind, int(now), model)


def usage(finished: Iterable[Chunk], answers: int = 1) -> dict[str, int]:
    """Token counts over all answers; the prompt of each request counts once.

    Args:
        answers: Answers to each prompt: their chunks repeat its prompt count.
    """
    finishes = [chunk.finish for chunk in finished if chunk.finish is not None]
    prompt = sum(finish.prompt_tokens for finish in finishes) // max(answers, 1)
    generated = sum(finish.generated_tokens for finish in finishes)
    return {"prompt_tokens": prompt, "completion_tokens": generated, "total_tokens": prompt + generated}


def whole(head: Head, choices: list[dict[str, Any]], counts: dict[str, int]) -> bytes:
    """A whole answer."""
    return encode(msgspec.structs.asdict(head) | {"choices": choices, "usage": counts})


def part(head: Head, choices: list[dict[str, Any]], counts: dict[str, int] | None = None, *, usage: bool) -> bytes:
    """One event of a stream. Where usage was asked for, every part names it, null but for the last."""
    body = msgspec.structs.asdict(head) | {"choices": choices}
    if usage:
        body["usage"] = counts
    return b"data: " + encode(body) + b"\n\n"


def error_part(error: SakerError) -> bytes:
    """The event that ends a stream which failed half-way."""
    _, body = describe(error)
    return b"data: " + encode(body) + b"\n\n"


DONE = b"data: [DONE]\n\n"


def chat_choice(chunks: Sequence[Chunk], index: int, *, logprobs: bool) -> dict[str, Any]:
    """One answer of a conversation, from its chunks."""
    text, reason, tokens = _joined(chunks)
    return {
        "index": index,
        "message": {"role": "assistant", "content": text, "refusal": None},
        "logprobs": {"content": _logprobs(tokens)} if logprobs else None,
        "finish_reason": reason,
    }


def chat_delta(chunk: Chunk, *, logprobs: bool, is_first: bool) -> dict[str, Any]:
    """What one chunk adds to a streamed conversation."""
    delta: dict[str, Any] = {"role": "assistant"} if is_first else {}
    if chunk.text or is_first:
        delta["content"] = chunk.text
    return {
        "index": chunk.index,
        "delta": delta,
        "logprobs": {"content": _logprobs(chunk.tokens)} if logprobs and chunk.tokens else None,
        "finish_reason": _reason(chunk),
    }


def text_choice(chunks: Sequence[Chunk], index: int, prefix: str, *, logprobs: bool) -> dict[str, Any]:
    """One answer to a plain prompt, from its chunks."""
    text, reason, tokens = _joined(chunks)
    entry: dict[str, Any] = {"index": index, "text": prefix + text, "logprobs": None, "finish_reason": reason}
    if logprobs:
        entry["logprobs"] = {
            "tokens": [token.text for token in tokens],
            "token_logprobs": [token.logprob for token in tokens],
        }
    return entry


def embeddings(embedded: Embedded, model: str, *, as_base64: bool) -> bytes:
    """Vectors, as lists of numbers or as little-endian 32-bit floats in base64."""
    rows = [
        {"object": "embedding", "index": index, "embedding": _base64(vector) if as_base64 else list(vector)}
        for index, vector in enumerate(embedded.vectors)
    ]
    counts = {"prompt_tokens": embedded.prompt_tokens, "total_tokens": embedded.prompt_tokens}
    return encode({"object": "list", "data": rows, "model": model, "usage": counts})


def _joined(chunks: Sequence[Chunk]) -> tuple[str, str | None, list[Token]]:
    tokens = [token for chunk in chunks for token in chunk.tokens]
    return "".join(chunk.text for chunk in chunks), _reason(chunks[-1]) if chunks else None, tokens


def _reason(chunk: Chunk) -> str | None:
    return None if chunk.finish is None else FINISH[chunk.finish.reason]


def _logprobs(tokens: Sequence[Token]) -> list[dict[str, Any]]:
    return [_logprob(token) | {"top_logprobs": [_logprob(likely) for likely in token.top]} for token in tokens]


def _logprob(token: Token) -> dict[str, Any]:
    return {"token": token.text, "logprob": token.logprob, "bytes": list(token.text.encode())}


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
