"""One answer that is being generated: a sequence, how its tokens are drawn, and what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence as Tokens

from saker.engine.answer import Answer
from saker.engine.messages import Chunk, FinishReason, GenerateRequest, Token
from saker.engine.paged.adapters import Adapter
from saker.engine.paged.blocks import BlockPool
from saker.engine.paged.lookup import Lookup
from saker.engine.paged.sample import Chooser
from saker.engine.paged.sequence import Sequence


class Draw:
    """What one step draws for one answer: a token, and one more after each guess that came true."""

    __slots__ = ("generation", "guess", "logprobs", "reason", "row", "tokens", "tops")

    def __init__(self, generation: Generation, row: int, guess: list[int]) -> None:
        """
        Args:
            row: Of the step's logits, where the first token is drawn.
        """
        self.generation = generation
        self.row = row
        self.guess = guess
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.tops: list[tuple[Token, ...]] = []
        self.reason: FinishReason | None = None

    def take(self, token: int, logprob: float | None = None, top: tuple[Token, ...] = ()) -> bool:
        """Add a token; whether the next one can be drawn in this step."""
        self.tokens.append(token)
        if logprob is not None:
            self.logprobs.append(logprob)
            self.tops.append(top)
        self.reason = self.generation.take(token)
        drawn = len(self.tokens)
        return drawn <= len(self.guess) and self.guess[drawn - 1] == token and self.reason is None


class Generation(Sequence):
    """A sequence with an answer."""

    __slots__ = (
        "_eos_ids",
        "_is_forced",
        "_logprob_sum",
        "adapter",
        "answer",
        "children",
        "chooser",
        "end",
        "lookup",
        "prompt_logprobs",
        "request",
    )

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
        speculation: int = 0,
        adapter: Adapter | None = None,
    ) -> None:
        """
        Args:
            eos_ids: Empty where the request ignores them.
            speculation: The longest guess of what comes next; 0 for none.
        """
        root = adapter.root if adapter else b""
        super().__init__(pool, prompt, priority=request.priority, arrival=arrival, root=root)
        self.adapter = adapter
        self.request = request
        self.answer = answer
        self.chooser = chooser
        self.children: list[Generation] = []
        """The request's other answers, until the prompt is computed for all of them."""
        self.end = len(prompt) + max_new_tokens
        """How many tokens there are at most."""
        self.lookup = Lookup(self.tokens, speculation) if speculation else None
        self.prompt_logprobs: list[float] | None = [] if request.prompt_logprobs and not answer.index else None
        """From the prompt's second token on, as far as it is computed; None where nobody asks any more."""
        self.reads_cache = self.prompt_logprobs is None  # what is not computed has no log probability
        self._is_forced = False
        """Whether the last guess was none, because its tokens had to come."""
        self._eos_ids = eos_ids
        self._logprob_sum = 0.0

    @property
    def wants_logprobs(self) -> bool:
        """Whether drawn tokens need their log probability."""
        return self.request.logprobs or self.request.top_logprobs > 0 or self.request.best_of > 1

    @property
    def mean_logprob(self) -> float:
        """Of the tokens of the answer."""
        return self._logprob_sum / max(self.length - self.prompt_length, 1)

    def missing_logprobs(self, tokens: int) -> int:
        """For how many of the next tokens to compute the one that follows in the prompt has no log probability yet."""
        if self.prompt_logprobs is None:
            return 0
        first = max(self.computed, len(self.prompt_logprobs))
        return max(min(self.computed + tokens, self.prompt_length - 1) - first, 0)

    def guess(self, room: int) -> list[int]:
        """The tokens that may come after the next one, if this step may compute so many more."""
        if self.length - self.computed != 1 or self.children:
            return []
        room = min(room, self.end - self.length - 1)
        forced = self.chooser.form.forced()[: max(room, 0)] if self.chooser.form else []
        self._is_forced = bool(forced)
        return forced or (self.lookup.guess(room) if self.lookup else [])

    def take(self, token: int) -> FinishReason | None:
        """Add a token; returns why the answer is over with it."""
        self.tokens.append(token)
        self.chooser.take(token)
        if token in self._eos_ids:
            return "eos_token"
        if self.chooser.is_over:
            return "stop_sequence"
        return "length" if len(self.tokens) >= self.end else None

    def report(self, draw: Draw) -> Chunk | None:
        """What to report of the answer now, with `finish` set when it is over."""
        if draw.guess and self.lookup is not None and not self._is_forced:
            self.lookup.learn(len(draw.guess), len(draw.tokens) - 1)
        if draw.logprobs:
            self._logprob_sum += sum(draw.logprobs)
        if not (self.request.logprobs or self.request.top_logprobs):
            return self.answer.take(draw.tokens, (), draw.reason)
        return self.answer.take(draw.tokens, draw.logprobs, draw.reason, draw.tops)
