"""An OpenAI-shaped backend that answers at once: what stands behind the peers, and what bare uvicorn can do.

uvicorn bench.backend:app
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

STREAM_TOKENS = 64

_HEAD = b'{"id":"chatcmpl-1","object":"chat.completion%s","created":1,"model":"fake","choices":[{"index":0,'
_ANSWER = (
    _HEAD % b"" + b'"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":4,"completion_tokens":1,"total_tokens":5}}'
)
_TOKEN = b"data: " + _HEAD % b".chunk" + b'"delta":{"role":"assistant","content":" word"},"finish_reason":null}]}\n\n'
_LAST = b"data: " + _HEAD % b".chunk" + b'"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'

Message = MutableMapping[str, Any]


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """One request, by ASGI 3: a whole answer, or a stream when the body asks for one."""
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if b'"stream":true' in body.replace(b" ", b""):
        await _stream(send)
        return
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(_ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _ANSWER})


async def _stream(send: Callable[[Message], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for _ in range(STREAM_TOKENS):
        await send({"type": "http.response.body", "body": _TOKEN, "more_body": True})
    await send({"type": "http.response.body", "body": _LAST})
