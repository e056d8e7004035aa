"""The steps: each computes a piece of every answer that runs, draws tokens, and says what came of it.

The worker's only thread calls `step` again and again, and takes in and cancels requests between two steps. So a
cancelled request computes nothing more, and nothing here needs a lock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from saker.engine.messages import Chunk, Failed, PromptToken
from saker.engine.paged.adapters import Adapter
from saker.engine.paged.batch import Batch, Step
from saker.engine.paged.contest import Contest
from saker.engine.paged.generation import Draw, Generation
from saker.engine.paged.report import Logprobs
from saker.engine.paged.runner import Row, Runner
from saker.engine.paged.sample import Sampler

Logits = npt.NDArray[np.float32]

GUESSING_TOKENS = 16
"""Of one step, guesses included. A step of few tokens waits for memory and computes more of them for little; with many
it is the tokens that take the time, and wrong guesses would take it from others."""


class Loop:
    """All requests that are under way."""

    def __init__(self, batch: Batch[Generation], runner: Runner, sampler: Sampler, logprobs: Logprobs) -> None:
        self._batch = batch
        self._runner = runner
        self._sampler = sampler
        self._logprobs = logprobs
        self._running: dict[int, list[Generation]] = {}
        """The answers that are not over, by the request's id."""
        self._deadlines: dict[int, float] = {}
        self._contests: dict[int, Contest] = {}
        self._prompts: dict[int, tuple[PromptToken, ...]] = {}
        """What the next chunk of a request tells of its prompt."""

    def add(self, id: int, answers: Sequence[Generation]) -> None:
        """Take in a request with its answers, at least one."""
        parent, *parent.children = answers
        request = parent.request
        self._running[id] = list(answers)
        if request.deadline_s is not None:
            self._deadlines[id] = time.monotonic() + request.deadline_s
        if request.best_of > 1:
            self._contests[id] = Contest(len(answers), request.n)
        self._batch.add(parent)

    def cancel(self, id: int) -> None:
        """Forget a request, and free its blocks."""
        for generation in self._running.get(id, ()):
            self._batch.remove(generation)
        self._forget(id)

    def forget(self, adapter: Adapter) -> None:
        """Let go of an adapter that no request uses."""
        self._runner.forget(adapter)

    def count(self, adapter: str) -> int:
        """How many requests use the adapter of that name."""
        return sum(answers[0].request.adapter == adapter for answers in self._running.values())

    def has_work(self) -> bool:
        """Whether anything runs or waits."""
        return bool(self._running)

    def step(self) -> list[Chunk | Failed]:
        """Advance each answer by a token or more, or by a piece of its prompt."""
        produced: list[Chunk | Failed] = list(self._expire())
        if not self._running:
            return produced
        step = self._batch.next_step()
        for source, target in step.copies:
            self._runner.copy_block(source, target)
        guesses = self._guess(step)
        if step.is_repeated and not guesses:
            logits, draws = self._repeat(step)
        else:
            logits, draws = self._compute(step, guesses)
        if draws:
            self._fork(draws)
            self._draw(logits, draws)
            produced += self._report(draws)
        return produced

    def _repeat(self, step: Step[Generation]) -> tuple[Logits, list[Draw]]:
        """Compute the next token of each row of the last step."""
        logits = self._runner.repeat([generation.tokens[-1] for generation, _ in step.rows])
        draws = []
        for place, (generation, _) in enumerate(step.rows):
            generation.advance(1)
            draws.append(Draw(generation, place, []))
        return logits, draws

    def _compute(self, step: Step[Generation], guesses: dict[int, list[int]]) -> tuple[Logits, list[Draw]]:
        """Compute what a step holds; returns where tokens are drawn."""
        rows = [_row(generation, count, guesses.get(id(generation), [])) for generation, count in step.rows]
        logits = self._runner.run(rows)
        draws: list[Draw] = []
        end = 0
        for (generation, count), row in zip(step.rows, rows, strict=True):
            end += row.wanted
            guess = guesses.get(id(generation), [])
            if generation.prompt_logprobs is not None:
                self._note_prompt(generation, generation.prompt_logprobs, count, logits[end - row.wanted : end])
            if not guess:
                generation.advance(count)
            if guess or generation.computed == generation.length:
                draws.append(Draw(generation, end - 1 - len(guess), guess))
        return logits, draws

    def _guess(self, step: Step[Generation]) -> dict[int, list[int]]:
        """What may come next, by the identity of the answer, where there is time and room for more tokens."""
        room = GUESSING_TOKENS - sum(count for _, count in step.rows)
        found: dict[int, list[int]] = {}
        for generation, _ in step.rows:
            if room <= 0:
                break
            guess = generation.guess(room)
            if guess and self._batch.extend(generation, 1 + len(guess)):
                found[id(generation)] = guess
                room -= len(guess)
        return found

    def _note_prompt(self, generation: Generation, known: list[float], count: int, logits: Logits) -> None:
        """Take the log probabilities of the prompt's tokens from the rows of this step."""
        missing = generation.missing_logprobs(count)
        if missing:
            following = generation.tokens[len(known) + 1 : len(known) + 1 + missing]
            known += self._logprobs.of_tokens(logits[:missing], following)
        if generation.computed + count >= generation.prompt_length:
            prompt = generation.tokens[: generation.prompt_length]
            self._prompts[generation.answer.id] = self._logprobs.prompt(prompt, known)
            generation.prompt_logprobs = None

    def _fork(self, draws: list[Draw]) -> None:
        """Let the further answers to a prompt that was computed just now draw from the same logits."""
        for draw in draws[:]:
            parent = draw.generation
            draws += [Draw(child, draw.row, []) for child in parent.children if self._batch.fork(parent, child)]
            parent.children = []

    def _draw(self, logits: Logits, draws: list[Draw]) -> None:
        """Draw a token for each, then a second one for those whose guess came true, and so on."""
        drawn = 0
        while draws:
            places = [draw.row + drawn for draw in draws]
            is_all = len(places) == len(logits) and places == list(range(len(logits)))
            rows = logits if is_all else logits[places]  # a copy, as changed logits are one answer's own
            noted = self._logprobs.note(rows, [draw.generation for draw in draws])
            tokens = self._sampler.draw(rows, [draw.generation.chooser for draw in draws])
            drawn += 1
            if noted is None:
                draws = [draw for draw, token in zip(draws, tokens, strict=True) if draw.take(token)]
            else:
                following = enumerate(zip(draws, tokens, strict=True))
                draws = [draw for place, (draw, token) in following if draw.take(token, *noted.of(place, token))]

    def _report(self, draws: list[Draw]) -> Iterator[Chunk | Failed]:
        for draw in draws:
            generation = draw.generation
            id, form = generation.answer.id, generation.chooser.form
            if id not in self._running:
                continue  # one of its other answers has failed
            if form is not None and form.failure is not None:
                self.cancel(id)
                yield Failed(id, "InvalidInput", form.failure.what, form.failure.why, form.failure.fix)
                continue
            if draw.guess:
                generation.advance(len(draw.tokens))
            chunk = generation.report(draw)
            if chunk is None:
                continue
            if generation.request.best_of > 1:
                yield from self._end_contestant(generation, chunk)
                continue
            if id in self._prompts and not generation.answer.index:
                chunk = msgspec.structs.replace(chunk, prompt=self._prompts.pop(id))
            if chunk.finish is not None:
                self._end(generation)
            yield chunk

    def _end_contestant(self, generation: Generation, answer: Chunk) -> list[Chunk]:
        id = generation.answer.id
        won = self._contests[id].end(generation.mean_logprob, answer, self._prompts.get(id, ()))
        self._end(generation)
        return won

    def _end(self, generation: Generation) -> None:
        self._batch.remove(generation)
        id = generation.answer.id
        left = self._running[id]
        left.remove(generation)
        if not left:
            self._forget(id)

    def _forget(self, id: int) -> None:
        for kept in (self._running, self._deadlines, self._contests, self._prompts):
            kept.pop(id, None)

    def _expire(self) -> list[Failed]:
        """Fail what took longer than it may."""
        if not self._deadlines:
            return []
        now = time.monotonic()
        late = [id for id, deadline in self._deadlines.items() if deadline <= now]
        for id in late:
            self.cancel(id)
        return [Failed(id, "DeadlineExceeded", "The request took longer than its deadline_s allows.") for id in late]


def _row(generation: Generation, count: int, guess: list[int]) -> Row:
    """What to compute for an answer, and of how many of the last tokens the logits are needed."""
    start = generation.computed
    tokens = generation.tokens[start : start + count]
    is_drawing = start + count == generation.length
    wanted = generation.missing_logprobs(count) + is_drawing + len(guess)
    return Row(tokens + guess, start, generation.blocks, wanted, generation.adapter)
