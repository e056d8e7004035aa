"""OpenAI's API over HTTP, judged by its JSON; tests/clients has OpenAI's own client."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from support.live import LivePlatform
from support.openai_http import send


def chat(*contents: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": content} for content in contents]


def test_endpoints_are_listed_as_models(live: LivePlatform, endpoint: str) -> None:
    status, body = send(live, "/v1/models")

    assert status == 200
    assert endpoint in [row["id"] for row in body["data"]]
    assert (200, endpoint) == (send(live, f"/v1/models/{endpoint}")[0], send(live, f"/v1/models/{endpoint}")[1]["id"])


def test_a_chat_is_answered_with_usage(live: LivePlatform, endpoint: str) -> None:
    status, body = send(
        live, "/v1/chat/completions", {"model": endpoint, "messages": chat("hello there"), "temperature": 0}
    )

    assert status == 200
    assert body["object"] == "chat.completion"
    assert {"role": "assistant", "content": "hello there", "refusal": None} == body["choices"][0]["message"]
    assert body["choices"][0]["finish_reason"] == "stop"
    assert (2, 3) == (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"])


def test_a_streamed_chat_brings_deltas_usage_and_done(live: LivePlatform, endpoint: str) -> None:
    body = {"model": endpoint, "messages": chat("a b c"), "temperature": 0, "stream": True}
    _, events = send(live, "/v1/chat/completions", body | {"stream_options": {"include_usage": True}})

    chunks = [json.loads(event) for event in events[:-1]]

    assert b"[DONE]" == events[-1]
    assert "a b c" == "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1])
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert ([], 7) == (chunks[-1]["choices"], chunks[-1]["usage"]["total_tokens"])
    assert 1 == len({chunk["id"] for chunk in chunks})


def test_several_answers_come_under_their_indexes(live: LivePlatform, endpoint: str) -> None:
    _, body = send(live, "/v1/chat/completions", {"model": endpoint, "messages": chat("a b"), "n": 3, "seed": 1})

    assert [0, 1, 2] == [choice["index"] for choice in body["choices"]]
    assert body["usage"]["prompt_tokens"] == 2


def test_log_probabilities_come_when_asked_for(live: LivePlatform, endpoint: str) -> None:
    request = {"model": endpoint, "messages": chat("a b"), "temperature": 0, "logprobs": True}
    _, body = send(live, "/v1/chat/completions", request)

    assert ["a", " b"] == [entry["token"] for entry in body["choices"][0]["logprobs"]["content"]][:2]


def test_completions_take_one_prompt_or_several(live: LivePlatform, endpoint: str) -> None:
    _, one = send(live, "/v1/completions", {"model": endpoint, "prompt": "a b", "temperature": 0})
    _, two = send(live, "/v1/completions", {"model": endpoint, "prompt": ["a", "b c"], "temperature": 0, "echo": True})

    assert "a b" == one["choices"][0]["text"]
    assert ["aa", "b cb c"] == [choice["text"] for choice in two["choices"]]
    assert [0, 1] == [choice["index"] for choice in two["choices"]]


def test_a_completion_streams(live: LivePlatform, endpoint: str) -> None:
    _, events = send(live, "/v1/completions", {"model": endpoint, "prompt": "a b c", "temperature": 0, "stream": True})

    assert "a b c" == "".join(json.loads(event)["choices"][0]["text"] for event in events[:-1])


def test_prompts_are_answered_together_or_not_at_all(live: LivePlatform, endpoint: str) -> None:
    prompts = ["a b", "word " * 5000]
    status, body = send(live, "/v1/completions", {"model": endpoint, "prompt": prompts})

    assert (400, "context_length_exceeded") == (status, body["error"]["code"])


def test_a_stream_answers_one_prompt(live: LivePlatform, endpoint: str) -> None:
    status, body = send(live, "/v1/completions", {"model": endpoint, "prompt": ["a", "b"], "stream": True})

    assert 400 == status
    assert "one prompt" in body["error"]["message"]


def test_embeddings_come_as_numbers_or_base64(live: LivePlatform, endpoint: str) -> None:
    _, plain = send(live, "/v1/embeddings", {"model": endpoint, "input": ["a", "b"]})
    _, packed = send(live, "/v1/embeddings", {"model": endpoint, "input": "a", "encoding_format": "base64"})

    raw = base64.b64decode(packed["data"][0]["embedding"])
    assert [0, 1] == [row["index"] for row in plain["data"]]
    assert plain["data"][0]["embedding"] == pytest.approx(struct.unpack(f"<{len(raw) // 4}f", raw))


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "empty"),
        (b"{", 400, "not valid JSON"),
        ({"messages": chat("x")}, 400, "missing required field `model`"),
        ({"model": "parrot", "messages": []}, 400, "'messages' is empty"),
        ({"model": "parrot", "messages": [{"role": "robot", "content": "x"}]}, 400, "Invalid enum value 'robot'"),
        ({"model": "parrot", "messages": chat("x"), "temprature": 1}, 400, "Did you mean 'temperature'?"),
        ({"model": "parrot", "messages": chat("x"), "tools": [{"type": "function"}]}, 400, "'tools'"),
        ({"model": "parrot", "messages": chat("x"), "response_format": {"type": "xml"}}, 400, "json_schema"),
        ({"model": "parrot", "messages": chat("x"), "response_format": {"type": "json_object"}}, 400, "'paged'"),
        ({"model": "parrot", "messages": chat("x"), "n": 0.5}, 400, "Expected `int | null`"),
        ({"model": "parrot", "messages": chat("x"), "top_p": 2}, 400, "at most 1"),
        ({"model": "parot", "messages": chat("x")}, 404, "Did you mean 'parrot'?"),
    ],
)
def test_a_chat_that_does_not_fit_is_refused_with_its_reason(
    live: LivePlatform, endpoint: str, body: Any, status: int, words: str
) -> None:
    got, answer = send(live, "/v1/chat/completions", body)

    assert status == got
    assert words in answer["error"]["message"]


def test_a_path_that_does_not_exist_names_the_nearest(live: LivePlatform) -> None:
    status, body = send(live, "/v1/chat/completion", {})

    assert status == 404
    assert "'POST /v1/chat/completions'" in body["error"]["message"]


def test_a_wrong_key_is_refused(live: LivePlatform) -> None:
    status, body = send(live, "/v1/models", key="sk-wrong")

    assert (401, "invalid_api_key") == (status, body["error"]["code"])
