"""Prompts that fit, are cut, or are refused."""

from __future__ import annotations

import pytest

from saker.core.errors import InvalidInput, TooLarge, Unsupported
from saker.engine.chat import ChatTemplate
from saker.engine.messages import GenerateRequest, Message
from saker.engine.prompt import PromptBuilder
from saker.engine.text import Tokenizer


class Letters:
    """One token per letter, and token 1 at the beginning of a text."""

    def encode(self, text: str, *, special: bool) -> list[int]:
        return [1] * special + [ord(letter) for letter in text]

    def decode(self, ids: object) -> str:
        raise NotImplementedError


LETTERS: Tokenizer = Letters()


def builder(max_context: int = 10, template: str | None = None, shares_context: bool = True) -> PromptBuilder:
    chat = ChatTemplate(template, {}) if template else None
    return PromptBuilder(LETTERS, chat, max_context, vocabulary_size=128, shares_context=shares_context)


def test_without_a_limit_the_answer_may_fill_the_context() -> None:
    prompt = builder().build(GenerateRequest(prompt="abc"))

    assert (prompt.ids, prompt.max_new_tokens) == ([1, 97, 98, 99], 6)


def test_prompt_and_answer_may_fill_the_context_exactly() -> None:
    assert builder().build(GenerateRequest(prompt="abc", max_new_tokens=6)).max_new_tokens == 6


@pytest.mark.parametrize(("prompt", "max_new_tokens"), [("abc", 7), ("abcdefghi", None), ("abcdefghijklm", 1)])
def test_what_does_not_fit_is_refused_with_the_counts(prompt: str, max_new_tokens: int | None) -> None:
    with pytest.raises(TooLarge, match=rf"has {len(prompt) + 1} tokens and max_new_tokens is .*context of 10 tokens"):
        builder().build(GenerateRequest(prompt=prompt, max_new_tokens=max_new_tokens))


def test_a_cut_keeps_the_token_at_the_beginning() -> None:
    assert builder().build(GenerateRequest(prompt="abcdef", truncate=3)).ids == [1, 101, 102]


def test_a_cut_to_one_token_keeps_the_last() -> None:
    assert builder().build(GenerateRequest(prompt="abc", truncate=1)).ids == [99]


def test_a_prompt_that_is_short_enough_is_not_cut() -> None:
    assert builder().build(GenerateRequest(prompt="ab", truncate=3)).ids == [1, 97, 98]


def test_tokens_are_taken_as_they_are() -> None:
    assert builder().build(GenerateRequest(tokens=(5, 6))).ids == [5, 6]


@pytest.mark.parametrize("tokens", [(128,), (-1,)])
def test_ids_outside_the_vocabulary_are_refused(tokens: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="no token"):
        builder().build(GenerateRequest(tokens=tokens))


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(InvalidInput, match="empty"):
        builder().build(GenerateRequest(tokens=()))


def test_a_conversation_gets_no_special_tokens_but_its_templates() -> None:
    prompt = builder(template="{{ messages[0].content }}!").build(GenerateRequest(messages=(Message("user", "ab"),)))

    assert prompt.ids == [97, 98, 33]


def test_a_conversation_needs_a_template() -> None:
    with pytest.raises(Unsupported, match="no chat template"):
        builder().build(GenerateRequest(messages=(Message("user", "ab"),)))


def test_an_encoder_decoder_model_has_room_for_each() -> None:
    prompt = builder(shares_context=False).build(GenerateRequest(prompt="abcdefg"))

    assert prompt.max_new_tokens == 10
    with pytest.raises(TooLarge, match="Each"):
        builder(shares_context=False).build(GenerateRequest(prompt="abcdefghijk", max_new_tokens=1))
