"""Turns the tokens of one answer into the chunks that the gateway gets; every engine with a tokenizer uses it."""

from __future__ import annotations

from collections.abc import Sequence

from saker.engine.messages import Chunk, Finish, FinishReason, GenerateRequest, Token
from saker.engine.stop import StopStrings
from saker.engine.text import TextStream, Tokenizer


class Answer:
    """One answer in the making: text, stop strings, log probabilities and counts."""

    __slots__ = (
        "_generated",
        "_ids",
        "_is_quiet",
        "_prompt_tokens",
        "_request",
        "_stop",
        "_stream",
        "_text",
        "_tokens",
        "id",
        "index",
        "seed",
    )

    def __init__(
        self,
        id: int,
        index: int,
        request: GenerateRequest,
        tokenizer: Tokenizer,
        prompt: Sequence[int],
        seed: int | None,
        *,
        continues_prompt: bool = True,
    ) -> None:
        """
        Args:
            continues_prompt: Whether the answer's text goes on where the prompt's ends. It does not in
                encoder-decoder models.
        """
        self.id = id
        self.index = index
        self.seed = seed
        self._request = request
        self._prompt_tokens = len(prompt)
        self._stream = TextStream(tokenizer, prompt if continues_prompt else ())
        self._stop = StopStrings(request.stop)
        self._is_quiet = not (request.stream or request.stop or request.logprobs or request.top_logprobs)
        """Whether nobody looks at the text before the end, so that it need not be decoded on the way."""
        self._ids: list[int] = []
        self._text: list[str] = []
        self._tokens: list[Token] = []
        self._generated = 0

    @property
    def is_quiet(self) -> bool:
        """Whether all tokens may be taken at the end, at once."""
        return self._is_quiet

    def take(
        self,
        ids: Sequence[int],
        logprobs: Sequence[float] = (),
        reason: FinishReason | None = None,
        tops: Sequence[tuple[Token, ...]] = (),
    ) -> Chunk | None:
        """Add tokens.

        Args:
            ids: New tokens, an end-of-text token included.
            logprobs: One for each token, where the request asks for them.
            reason: Set with the answer's last tokens. A stop string may end the answer before that.
            tops: The likeliest tokens for each token, where the request asks for them.

        Returns:
            What to report now: nothing, new text, or with `finish` set the end of the answer.
        """
        if self._is_quiet:
            self._ids += ids
            self._generated += len(ids)
            if reason is None:
                return None
            text = self._stream.feed_all(self._ids[:-1] if reason == "eos_token" else self._ids)
            return self._chunk(text, (), reason)
        return self._take_each(ids, logprobs, reason, tops)

    def _take_each(
        self,
        ids: Sequence[int],
        logprobs: Sequence[float],
        reason: FinishReason | None,
        tops: Sequence[tuple[Token, ...]],
    ) -> Chunk | None:
        last = len(ids) - 1
        for place, id in enumerate(ids):
            self._generated += 1
            is_eos = place == last and reason == "eos_token"
            piece = "" if is_eos else self._stream.feed((id,))
            if logprobs:
                self._tokens.append(Token(id, piece, logprobs[place], tops[place] if tops else ()))
            self._text.append(self._stop.feed(piece))
            if self._stop.is_found:
                return self._report("stop_sequence")
        if reason is not None:
            self._text.append(self._stop.feed(self._stream.flush()))
            if self._stop.is_found:
                reason = "stop_sequence"
            self._text.append(self._stop.flush())
        return self._report(reason)

    def _report(self, reason: FinishReason | None) -> Chunk | None:
        """A chunk of what gathered since the last one, unless it can wait."""
        if reason is None and not self._request.stream:
            return None
        text, tokens = "".join(self._text), tuple(self._tokens)
        self._text.clear()
        self._tokens.clear()
        if reason is None and not text and not tokens:
            return None
        return self._chunk(text, tokens, reason)

    def _chunk(self, text: str, tokens: tuple[Token, ...], reason: FinishReason | None) -> Chunk:
        finish = None if reason is None else Finish(reason, self._prompt_tokens, self._generated, self.seed)
        return Chunk(self.id, text, self.index, tokens, finish)
