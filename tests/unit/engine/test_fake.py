"""The engine without a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saker.core.errors import TooLarge, Unsupported
from saker.engine.base import EngineOptions
from saker.engine.fake import FakeEngine
from saker.engine.messages import Chunk, GenerateRequest, Message, Sampling


def engine(folder: Path, max_context: int | None = None, **model: object) -> FakeEngine:
    (folder / "fake.json").write_text(json.dumps(model))
    return FakeEngine(EngineOptions(model_path=str(folder), max_context=max_context))


def run(fake: FakeEngine, request: GenerateRequest) -> list[Chunk]:
    """All chunks of one request."""
    fake.submit(1, request)
    chunks: list[Chunk] = []
    while fake.has_work():
        chunks += [item for item in fake.step() if isinstance(item, Chunk)]
    return chunks


def test_the_prompts_words_are_repeated_once(tmp_path: Path) -> None:
    (chunk,) = run(engine(tmp_path), GenerateRequest(prompt=" one  two "))

    assert chunk.text == "one two"
    assert chunk.finish is not None
    assert (chunk.finish.reason, chunk.finish.prompt_tokens, chunk.finish.generated_tokens) == ("eos_token", 2, 3)


def test_a_conversation_is_answered_with_its_last_message(tmp_path: Path) -> None:
    messages = (Message("system", "be brief"), Message("user", "hello there"))
    (chunk,) = run(engine(tmp_path), GenerateRequest(messages=messages))

    assert chunk.text == "hello there"
    assert chunk.finish is not None
    assert chunk.finish.prompt_tokens == 4


def test_streaming_reports_every_word(tmp_path: Path) -> None:
    chunks = run(engine(tmp_path), GenerateRequest(prompt="one two", stream=True))

    assert [chunk.text for chunk in chunks] == ["one", " two", ""]


def test_ignoring_the_end_goes_round_until_the_limit(tmp_path: Path) -> None:
    (chunk,) = run(engine(tmp_path), GenerateRequest(prompt="a b", max_new_tokens=5, ignore_eos=True))

    assert chunk.text == "a b a b a"
    assert chunk.finish is not None
    assert chunk.finish.reason == "length"


def test_fixed_words_and_several_per_step(tmp_path: Path) -> None:
    fake = engine(tmp_path, words=["x", "y", "z"], words_per_step=2)

    assert [chunk.text for chunk in run(fake, GenerateRequest(prompt="a", stream=True))] == ["x y", " z"]


def test_the_same_seed_draws_the_same_words(tmp_path: Path) -> None:
    request = GenerateRequest(prompt="a b c d e f g h", sampling=Sampling(temperature=1.0, seed=7), n=2)
    first, second = (run(engine(tmp_path), request) for _ in range(2))

    assert first == second
    assert first[0].text != first[1].text
    assert first[0].text != "a b c d e f g h"


def test_keeping_one_candidate_is_greedy(tmp_path: Path) -> None:
    for sampling in (Sampling(temperature=2.0, top_k=1), Sampling(temperature=2.0, top_p=0.01)):
        (chunk,) = run(engine(tmp_path), GenerateRequest(prompt="a b c", sampling=sampling))

        assert chunk.text == "a b c"


def test_a_repetition_penalty_avoids_words_said_before(tmp_path: Path) -> None:
    request = GenerateRequest(prompt="a a b", sampling=Sampling(repetition_penalty=50.0))
    (chunk,) = run(engine(tmp_path), request)

    assert chunk.text.startswith("a b")


def test_a_request_that_does_not_fit_is_refused_with_the_counts(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match=r"prompt of 3 tokens and 6 new .* holds 8 tokens"):
        engine(tmp_path, max_context=8).submit(1, GenerateRequest(prompt="a b c", max_new_tokens=6))


def test_truncate_keeps_the_last_words(tmp_path: Path) -> None:
    (chunk,) = run(engine(tmp_path), GenerateRequest(prompt="a b c", truncate=2))

    assert chunk.text == "b c"


def test_a_field_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="delay"):
        engine(tmp_path, delay=1)
