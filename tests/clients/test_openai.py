"""OpenAI's own client."""

from __future__ import annotations

import openai
import pytest


@pytest.fixture
def client(client_environment: dict[str, str]) -> openai.OpenAI:
    return openai.OpenAI(max_retries=0)


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert ["demo"] == [model.id for model in client.models.list()]


def test_a_chat_streams(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="demo",
        messages=[{"role": "user", "content": "Once upon a time"}],
        max_tokens=16,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )

    chunks = list(stream)

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.startswith(", there was a little girl")
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 16


def test_a_chat_answers_at_once(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="demo", messages=[{"role": "user", "content": "Once upon a time"}], max_tokens=16, temperature=0, n=2
    )

    assert 2 == len(answer.choices)
    assert answer.choices[0].finish_reason == "length"


def test_a_completion_answers(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="demo", prompt="Once upon a time", max_tokens=16, temperature=0)

    assert answer.choices[0].text.startswith(", there was a little girl")


def test_errors_are_the_client_s_own_classes(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="Did you mean 'demo'"):
        client.completions.create(model="dem", prompt="x")
    with pytest.raises(openai.BadRequestError, match="no embeddings"):
        client.embeddings.create(model="demo", input="x")
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(api_key="sk-wrong", max_retries=0).models.list()
    with pytest.raises(openai.BadRequestError, match="512"):
        client.completions.create(model="demo", prompt="word " * 1000, max_tokens=5)
