"""From a request to prompt tokens that fit the model's context."""

from __future__ import annotations

from dataclasses import dataclass

from saker.core.errors import InvalidInput, TooLarge, Unsupported
from saker.engine.chat import ChatTemplate
from saker.engine.messages import GenerateRequest
from saker.engine.text import Tokenizer


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model reads, and how much it may write."""

    ids: list[int]
    max_new_tokens: int


class PromptBuilder:
    """Tokenizes text or a conversation, cuts where asked to, and refuses what does not fit."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        template: ChatTemplate | None,
        max_context: int,
        vocabulary_size: int | None,
        shares_context: bool = True,
    ) -> None:
        """
        Args:
            shares_context: Whether prompt and answer together must fit; an encoder-decoder model has room for each.
        """
        self._tokenizer = tokenizer
        self._template = template
        self._max_context = max_context
        self._vocabulary_size = vocabulary_size
        self._shares_context = shares_context
        self._beginning = tokenizer.encode("", special=True)[:1]

    def build(self, request: GenerateRequest) -> Prompt:
        """The prompt of a request.

        Raises:
            TooLarge: Prompt and answer do not fit; says the counts.
            InvalidInput: The prompt is empty, or holds ids that are no tokens of this model.
            Unsupported: A conversation, and the model has no chat template.
        """
        ids = self._tokens(request)
        if request.truncate is not None:
            ids = self._cut(ids, request.truncate)
        if not ids:
            raise InvalidInput("The prompt is empty.", fix="Send at least one token of text.")
        return Prompt(ids, self._fit(len(ids), request.max_new_tokens))

    def _tokens(self, request: GenerateRequest) -> list[int]:
        if request.tokens is not None:
            self._check_ids(request.tokens)
            return list(request.tokens)
        if request.messages is not None:
            if self._template is None:
                raise Unsupported("This model has no chat template, so it cannot lay out a conversation.")
            # The template writes the special tokens itself.
            return self._tokenizer.encode(self._template.render(request.messages), special=False)
        return self._tokenizer.encode(request.prompt or "", special=True)

    def _check_ids(self, ids: tuple[int, ...]) -> None:
        bound = self._vocabulary_size
        if any(id < 0 or (bound is not None and id >= bound) for id in ids):
            raise InvalidInput("The prompt holds an id that is no token of this model.", why=f"Ids are below {bound}.")

    def _cut(self, ids: list[int], length: int) -> list[int]:
        """The last tokens; the one that marks the beginning of a text stays, because models derail without it."""
        if len(ids) <= length:
            return ids
        if length > 1 and ids[:1] == self._beginning:
            return ids[:1] + ids[1 - length :]
        return ids[-length:]

    def _fit(self, prompt_tokens: int, max_new_tokens: int | None) -> int:
        room = self._max_context - (prompt_tokens if self._shares_context else 0)
        wanted = max(room, 1) if max_new_tokens is None else max_new_tokens
        if wanted > room or prompt_tokens > self._max_context:
            raise TooLarge(
                f"The prompt has {prompt_tokens} tokens and max_new_tokens is {wanted}.",
                why=f"Together they must not exceed this model's context of {self._max_context} tokens."
                if self._shares_context
                else f"Each must not exceed {self._max_context} tokens.",
                fix="Shorten the prompt, lower max_new_tokens, or set truncate to cut the prompt.",
            )
        return wanted
