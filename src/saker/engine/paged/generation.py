"""One answer that is being generated: a sequence, how its tokens are drawn, and what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence as Tokens

from saker.engine.answer import Answer
from saker.engine.messages import Chunk, FinishReason, GenerateRequest, Token
from saker.engine.paged.blocks import BlockPool
from saker.engine.paged.sample import Chooser
from saker.engine.paged.sequence import Sequence


class Generation(Sequence):
    """A sequence with an answer."""

    __slots__ = ("_end", "_eos_ids", "answer", "children", "chooser", "request")

    def __init__(
        self,
        pool: BlockPool,
        request: GenerateRequest,
        prompt: Tokens[int],
        max_new_tokens: int,
        eos_ids: frozenset[int],
        answer: Answer,
        chooser: Chooser,
        arrival: int,
    ) -> None:
        """
        Args:
            eos_ids: Empty where the request ignores them.
        """
        super().__init__(pool, prompt, priority=request.priority, arrival=arrival)
        self.request = request
        self.answer = answer
        self.chooser = chooser
        self.children: list[Generation] = []
        """The request's other answers, until the prompt is computed for all of them."""
        self._eos_ids = eos_ids
        self._end = len(prompt) + max_new_tokens

    def take(self, token: int, logprob: float | None, top: tuple[Token, ...]) -> Chunk | None:
        """Add a token; returns what to report of the answer now, with `finish` set when it is over."""
        self.tokens.append(token)
        self.chooser.take(token)
        logprobs = () if logprob is None else (logprob,)
        return self.answer.take((token,), logprobs, self._reason(token), (top,) if top else ())

    def _reason(self, token: int) -> FinishReason | None:
        if token in self._eos_ids:
            return "eos_token"
        return "length" if len(self.tokens) >= self._end else None
