"""An engine without a model: deterministic and instant, for tests, dry runs and measuring the gateway.

A token is a word. The likeliest answer repeats the prompt's words (of a conversation: its last message's), once and
in order, then ends. Seen from any place in the answer, the word due there is the likeliest, the one after it half as
likely, and so on; sampling draws from that distribution, so every declared parameter has its usual meaning.

The model path is a folder with `fake.json`, or such a file; its fields are those of `FakeModel`.
"""

from __future__ import annotations

import hashlib
import math
import os
import random
import secrets
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from saker.core.errors import EngineFailure, TooLarge, Unsupported
from saker.engine.base import EngineOptions
from saker.engine.fake_sampling import draw
from saker.engine.messages import (
    Capabilities,
    Chunk,
    Embedded,
    Failed,
    Finish,
    FinishReason,
    GenerateRequest,
    Ready,
    Sampling,
    Token,
)
from saker.engine.stop import StopStrings

CANDIDATES = 16
"""How many next words have a probability above zero."""
DIMENSIONS = 8
"""Length of an embedding."""


class FakeModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `fake.json` may say."""

    words: tuple[str, ...] = ()
    """Answers repeat these in place of the prompt's words."""
    delay_s: float = 0.0
    """How long one step takes."""
    words_per_step: int = 1
    max_context: int = 4096
    load_s: float = 0.0
    fail: str = ""
    """Loading fails for good, with this sentence."""
    exit_on_load: int | None = None
    """Loading ends the process with this code, as a crash would."""
    commands: bool = False
    """Whether prompts that end with "__crash__" (the process dies), "__hang__" (no answer until cancelled) or
    "__error__" (a step fails) do what they say."""


PARAMETERS = frozenset(
    {name for name in Sampling.__struct_fields__ if name != "typical_p"}
    | {"stop", "n", "logprobs", "truncate", "ignore_eos"}
)


@dataclass(slots=True)
class _Answer:
    """One running answer."""

    id: int
    index: int
    request: GenerateRequest
    words: tuple[str, ...]
    prompt_tokens: int
    limit: int
    seed: int | None
    random: random.Random
    stop: StopStrings
    counts: dict[str, int] = field(default_factory=dict)
    generated: int = 0
    text: str = ""
    tokens: list[Token] = field(default_factory=list)


class FakeEngine:
    """Answers from the prompt."""

    def __init__(self, options: EngineOptions) -> None:
        self._model = _read_model(Path(options.model_path))
        if self._model.exit_on_load is not None:
            os._exit(self._model.exit_on_load)
        time.sleep(self._model.load_s)
        if self._model.fail:
            raise Unsupported(self._model.fail, fix="Change 'fail' in fake.json.")
        self._max_context = min(options.max_context or self._model.max_context, self._model.max_context)
        self._max_sequences = options.max_sequences
        self._running: list[_Answer] = []

    def describe(self) -> Ready:
        """Everything but typical_p is honoured, so that refusals can be tested too."""
        return Ready(
            engine="fake",
            capabilities=Capabilities(tasks=frozenset({"generate", "chat", "embed"}), parameters=PARAMETERS),
            max_context=self._max_context,
            detail={"precision": "exact", "device": "cpu"},
        )

    def submit(self, id: int, request: GenerateRequest) -> None:
        """Take a request in."""
        words, prompt_tokens = _lay_out(request)
        if request.truncate is not None:
            words, prompt_tokens = words[-request.truncate :], min(prompt_tokens, request.truncate)
        room = self._max_context - prompt_tokens
        limit = room if request.max_new_tokens is None else request.max_new_tokens
        if room < 1 or limit > room:
            raise TooLarge(
                f"A prompt of {prompt_tokens} tokens and {limit} new tokens do not fit.",
                why=f"This model's context holds {self._max_context} tokens.",
                fix="Shorten the prompt, lower max_new_tokens, or set truncate.",
            )
        seed = request.sampling.seed
        if seed is None and request.sampling.temperature > 0:
            seed = secrets.randbits(32)
        self._running += [
            _Answer(
                id=id,
                index=index,
                request=request,
                words=self._model.words or words,
                prompt_tokens=prompt_tokens,
                limit=limit,
                seed=seed,
                random=random.Random(f"{seed}/{index}"),  # noqa: S311 — draws words, keeps no secret
                stop=StopStrings(request.stop),
            )
            for index in range(request.n)
        ]

    def embed(self, id: int, inputs: tuple[str, ...]) -> Embedded:
        """Unit vectors made from a digest of each text."""
        vectors = tuple(_vector(text) for text in inputs)
        return Embedded(id=id, vectors=vectors, prompt_tokens=sum(len(text.split()) for text in inputs))

    def cancel(self, id: int) -> None:
        """Forget a request."""
        self._running = [answer for answer in self._running if answer.id != id]

    def has_work(self) -> bool:
        """Whether anything runs."""
        return bool(self._running)

    def step(self) -> list[Chunk | Failed]:
        """Add `words_per_step` words to every running answer."""
        if self._model.delay_s:
            time.sleep(self._model.delay_s)
        chunks: list[Chunk] = []
        has_advanced = False
        for answer in self._running[: self._max_sequences]:
            if self._model.commands and answer.words:
                if answer.words[-1] == "__hang__":
                    continue
                _obey(answer.words[-1])
            has_advanced = True
            chunk = _advance(answer, self._model.words_per_step)
            if chunk is not None:
                chunks.append(chunk)
        if not has_advanced:
            time.sleep(0.001)  # only hanging requests run: leave the processor to others
        over = {(chunk.id, chunk.index) for chunk in chunks if chunk.finish is not None}
        if over:
            self._running = [answer for answer in self._running if (answer.id, answer.index) not in over]
        return list(chunks)

    def close(self) -> None:
        """Nothing is held."""


def _read_model(path: Path) -> FakeModel:
    file = path / "fake.json" if path.is_dir() else path
    try:
        return msgspec.json.decode(file.read_bytes(), type=FakeModel)
    except (OSError, msgspec.MsgspecError) as error:
        raise Unsupported(
            f"The fake model {str(file)!r} cannot be read.", why=f"{error}.", fix='Write {"delay_s": 0} into it.'
        ) from error


def _obey(word: str) -> None:
    if word == "__crash__":
        os._exit(9)
    if word == "__error__":
        raise EngineFailure("The fake engine failed as it was told to.")


def _lay_out(request: GenerateRequest) -> tuple[tuple[str, ...], int]:
    """The words to repeat, and how many tokens the whole prompt has."""
    if request.messages is not None:
        counts = [len(message.content.split()) for message in request.messages]
        last = request.messages[-1].content if request.messages else ""
        return tuple(last.split()), sum(counts)
    if request.tokens is not None:
        return tuple(f"t{token}" for token in request.tokens), len(request.tokens)
    words = tuple((request.prompt or "").split())
    return words, len(words)


def _advance(answer: _Answer, words: int) -> Chunk | None:
    """Add words to one answer; None when there is nothing to report yet."""
    shown = ""
    tokens: list[Token] = []
    finish = None
    for _ in range(words):
        text, logprob, reason = _next_word(answer)
        passed = answer.stop.feed(text)
        if answer.stop.is_found:
            reason = "stop_sequence"
        elif reason is not None:
            passed += answer.stop.flush()
        shown += passed
        if answer.request.logprobs:
            tokens.append(Token(id=zlib.crc32(text.strip().encode()), text=text, logprob=logprob))
        if reason is not None:
            finish = Finish(reason, answer.prompt_tokens, answer.generated, answer.seed)
            break
    if not answer.request.stream:
        answer.text += shown
        answer.tokens += tokens
        if finish is None:
            return None
        return Chunk(answer.id, answer.text, answer.index, tuple(answer.tokens), finish)
    if not (shown or tokens or finish):
        return None
    return Chunk(answer.id, shown, answer.index, tuple(tokens), finish)


def _next_word(answer: _Answer) -> tuple[str, float, FinishReason | None]:
    """The next token's text, its log probability, and why the answer ends with it."""
    answer.generated += 1
    at_end = answer.generated > len(answer.words)
    if not answer.words or (at_end and not answer.request.ignore_eos):
        return "", 0.0, "eos_token"
    start = (answer.generated - 1) % len(answer.words)
    candidates = [answer.words[(start + rank) % len(answer.words)] for rank in range(CANDIDATES)]
    word, probability = draw(candidates, answer.counts, answer.request.sampling, answer.random)
    answer.counts[word] = answer.counts.get(word, 0) + 1
    text = word if answer.generated == 1 else f" {word}"
    return text, math.log(probability), "length" if answer.generated >= answer.limit else None


def _vector(text: str) -> tuple[float, ...]:
    digest = hashlib.sha256(text.encode()).digest()
    raw = [digest[i] - 127.5 for i in range(DIMENSIONS)]
    length = math.sqrt(sum(x * x for x in raw))
    return tuple(x / length for x in raw)
