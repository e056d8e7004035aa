"""Lets an answer have one form only: a JSON schema, a regular expression or a Lark grammar, by masks of llguidance.

The mask of the next token is made when a token was taken, not when the next one is drawn: so it is known right then
whether the form is complete, and the answer ends without a step that could draw nothing but the end of text.
"""

from __future__ import annotations

import copy
from functools import cached_property
from pathlib import Path

import numpy as np
from llguidance import LLMatcher, LLParserLimits

from saker.core.errors import InvalidInput
from saker.engine.messages import Grammar
from saker.engine.paged.grammar_source import reason, refusal, to_library
from saker.engine.paged.grammar_tokens import Row, Tokens

MOST_GRAMMARS = 32
"""That are kept compiled; the same schema comes again and again."""

LIMITS = LLParserLimits(
    max_items_in_row=1000,
    step_max_items=20_000,
    step_lexer_fuel=100_000,
    initial_lexer_fuel=200_000,
    max_lexer_states=100_000,
    verbose_errors=False,
)
"""Of one answer. Half the library's own and less: no step may keep the other answers waiting for more than about a
third of a second, and no answer may take more than about 100 MB. Objects of some 250 optional properties still fit."""


class Grammars:
    """Compiles for one model."""

    def __init__(self, folder: Path, vocabulary_size: int, eos_ids: frozenset[int]) -> None:
        """
        Args:
            vocabulary_size: How many logits a row has; the tokenizer may know more tokens or fewer.
        """
        self._folder = folder
        self._size = vocabulary_size
        self._eos_ids = eos_ids
        self._compiled: dict[Grammar, GrammarChange] = {}
        """The one used last comes last."""

    def change(self, grammar: Grammar) -> GrammarChange:
        """A logits change for one answer.

        Raises:
            InvalidInput: The grammar is malformed, allows no text, or takes too much to compile.
            Unsupported: The library cannot read the model's tokenizer.
        """
        compiled = self._compiled.pop(grammar, None) or self._compile(grammar)
        self._compiled[grammar] = compiled
        if len(self._compiled) > MOST_GRAMMARS:
            del self._compiled[next(iter(self._compiled))]
        return compiled.copy()

    def _compile(self, grammar: Grammar) -> GrammarChange:
        source = to_library(grammar)
        matcher = LLMatcher(self._tokens.tokenizer, source, log_level=0, limits=LIMITS)
        if matcher.is_error():
            raise refusal(grammar.kind, matcher.get_error())
        compiled = GrammarChange(matcher, self._tokens)
        if compiled.failure is not None:
            raise compiled.failure
        if compiled.is_over:
            raise refusal(grammar.kind, "It allows nothing but the empty text")
        return compiled

    @cached_property
    def _tokens(self) -> Tokens:
        return Tokens(self._folder, self._size, self._eos_ids)


class GrammarChange:
    """One answer's `logits.Form`."""

    def __init__(self, matcher: LLMatcher, tokens: Tokens) -> None:
        self._matcher = matcher
        self._tokens = tokens
        self._words = np.zeros_like(tokens.drawable)
        self.failure: InvalidInput | None = None
        """Why the answer had to end before its form was complete: the library's limits, or letters that the model
        has no tokens for."""
        self._look()

    @property
    def is_over(self) -> bool:
        """Whether at most an end of text may follow."""
        return self._is_over

    def copy(self) -> GrammarChange:
        """One that is as far, and goes on alone."""
        other = copy.copy(self)
        other._matcher = self._matcher.deep_copy()
        other._words = self._words.copy()
        return other

    def apply(self, row: Row) -> None:
        """Forbid what the form does not allow. The row stays as it is where it is over and no end of text is known."""
        if not self._is_over or self._words.any():
            self._tokens.forbid(row, self._words)

    def take(self, token: int) -> None:
        """Advance by a token."""
        self._matcher.consume_token(token)
        self._look()

    def forced(self) -> list[int]:
        """The tokens that must come next, as far as there is no choice: a guess that comes true."""
        return self._matcher.compute_ff_tokens()

    def _look(self) -> None:
        """Get the mask of the next token. The ends of text alone when there is no next one, for whatever reason."""
        self._matcher.unsafe_compute_mask_ptr(self._words.ctypes.data, self._words.nbytes)
        self._words &= self._tokens.drawable
        self._is_over = not (self._words & self._tokens.text).any()
        if self._is_over and not self._matcher.is_accepting() and self.failure is None:
            self.failure = InvalidInput(
                "The answer cannot go on in the form that its grammar asks for.",
                why=f"{reason(self._matcher.get_error()) or 'No token of the model continues it'}.",
                fix="Simplify the grammar: fewer alternatives, optional properties and counted repetitions.",
            )
