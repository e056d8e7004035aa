"""Steps with the model that ships inside the package: guesses, best answers, and how likely a prompt is."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saker.core.errors import InvalidInput
from saker.engine.base import Engine, EngineOptions
from saker.engine.messages import Chunk, Failed, GenerateRequest, Grammar, Sampling

pytestmark = pytest.mark.real
paged = pytest.importorskip("saker.engine.paged.engine")

EMBEDDED = Path(str(files("saker.models") / "embedded"))
BLOCK_BYTES = 40_960
BIAS = {2: -100.0}
"""Against the end of text."""
STORY = "Tom has a red ball. Lily has a red ball. Tom has a red ball. Lily has a red ball. Tom"
"""Says the same again and again, and so will the answer."""


def make(**options: Any) -> Engine:
    return paged.PagedEngine(EngineOptions(str(EMBEDDED), **({"precision": "fp32"} | options)))  # type: ignore[no-any-return]  # imported if there


@pytest.fixture(scope="module")
def plain() -> Iterator[Engine]:
    engine = make()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def guessing() -> Iterator[Engine]:
    engine = make(speculation=8)
    yield engine
    engine.close()


def run(engine: Engine, requests: Sequence[GenerateRequest]) -> tuple[dict[tuple[int, int], list[Chunk]], int]:
    """The chunks of each answer, and how many steps it took."""
    for id, request in enumerate(requests):
        engine.submit(id, request)
    found: dict[tuple[int, int], list[Chunk]] = {}
    steps = 0
    while engine.has_work():
        steps += 1
        for chunk in engine.step():
            assert isinstance(chunk, Chunk), chunk
            found.setdefault((chunk.id, chunk.index), []).append(chunk)
    return found, steps


def texts(found: dict[tuple[int, int], list[Chunk]]) -> dict[tuple[int, int], str]:
    return {key: "".join(chunk.text for chunk in chunks) for key, chunks in found.items()}


SAMPLINGS = {
    "greedy": Sampling(),
    "seeded": Sampling(temperature=0.7, seed=5),
    "top_p and typical_p": Sampling(temperature=0.9, top_p=0.8, typical_p=0.9, seed=6),
    "penalties": Sampling(repetition_penalty=1.02, frequency_penalty=0.1, temperature=0.5, seed=7),
}


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=list(SAMPLINGS))
def test_guesses_save_steps_and_change_no_token(plain: Engine, guessing: Engine, sampling: Sampling) -> None:
    requests = [
        GenerateRequest(
            prompt=STORY, max_new_tokens=120, sampling=sampling, ignore_eos=True, logprobs=True, stream=True, n=2
        )
    ]
    expected, plain_steps = run(plain, requests)
    found, steps = run(guessing, requests)

    assert texts(expected) == texts(found)
    for key, chunks in expected.items():
        ids, logprobs = zip(*((token.id, token.logprob) for chunk in chunks for token in chunk.tokens), strict=True)
        other, others = zip(*((token.id, token.logprob) for chunk in found[key] for token in chunk.tokens), strict=True)
        assert ids == other
        assert logprobs == pytest.approx(others, abs=1e-3)
        assert chunks[-1].finish == found[key][-1].finish
    if sampling.temperature < 0.8:
        assert steps < plain_steps


def test_a_guess_stops_where_the_answer_does(plain: Engine, guessing: Engine) -> None:
    (whole,) = texts(run(plain, [GenerateRequest(prompt=STORY, max_new_tokens=100)])[0]).values()
    requests = [
        GenerateRequest(prompt=STORY, max_new_tokens=7),
        GenerateRequest(prompt=STORY, max_new_tokens=100, stop=(whole[60:66],)),
        GenerateRequest(prompt=STORY, max_new_tokens=200),
    ]
    expected, _ = run(plain, requests)
    found, _ = run(guessing, requests)

    assert texts(expected) == texts(found)
    assert [chunks[-1].finish for chunks in expected.values()] == [chunks[-1].finish for chunks in found.values()]
    assert "stop_sequence" in {chunks[-1].finish.reason for chunks in found.values() if chunks[-1].finish}


def test_guesses_in_a_tight_cache_lose_no_block(plain: Engine) -> None:
    requests = [
        GenerateRequest(prompt=STORY + " has" * place, max_new_tokens=90, ignore_eos=True) for place in range(6)
    ]
    tight = make(speculation=8, kv_cache_bytes=14 * BLOCK_BYTES)
    found, _ = run(tight, requests)

    assert texts(run(plain, requests)[0]) == texts(found)
    assert 14 == tight._pool.available  # type: ignore[attr-defined]  # what no request can see
    assert 0 < tight._loop._batch.preemptions  # type: ignore[attr-defined]  # unseen by requests


def test_many_answers_are_not_guessed_for(plain: Engine, guessing: Engine) -> None:
    """Where a step is full, more tokens would take the others' time."""
    requests = [GenerateRequest(prompt=STORY, max_new_tokens=20, ignore_eos=True) for _ in range(32)]

    assert run(plain, requests)[1] == run(guessing, requests)[1]


def test_the_best_answers_come_ranked_by_mean_log_probability(plain: Engine) -> None:
    sampling = Sampling(temperature=1.3, seed=3)
    asked = GenerateRequest(prompt="Once upon a time", max_new_tokens=30, sampling=sampling, logprobs=True)
    alone, _ = run(plain, [GenerateRequest(**{**_fields(asked), "n": 6})])
    means = {
        key: np.mean([token.logprob for chunk in chunks for token in chunk.tokens]) for key, chunks in alone.items()
    }
    ranked = sorted(means, key=lambda key: -means[key])
    best, _ = run(plain, [GenerateRequest(**{**_fields(asked), "n": 2, "best_of": 6})])

    assert [texts(alone)[key] for key in ranked[:2]] == list(texts(best).values())
    assert [(0, 0), (0, 1)] == list(best)


def _fields(request: GenerateRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in request.__struct_fields__}


def test_a_cancelled_contest_leaves_nothing_behind(plain: Engine) -> None:
    request = GenerateRequest(prompt=STORY, best_of=4, sampling=Sampling(temperature=1.0), prompt_logprobs=True)
    available = plain._pool.available  # type: ignore[attr-defined]  # unseen by requests
    for steps in range(4):
        plain.submit(1, request)
        for _ in range(steps):
            plain.step()
        plain.cancel(1)
        loop = plain._loop  # type: ignore[attr-defined]  # unseen by requests

        assert not plain.has_work()
        assert available == plain._pool.available  # type: ignore[attr-defined]  # unseen by requests
        assert [{}, {}, {}] == [loop._contests, loop._prompts, loop._deadlines]


@pytest.mark.parametrize("step_tokens", [16, 512])
def test_a_prompt_is_as_likely_as_if_it_were_generated(
    plain: Engine, step_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The same tokens, once generated by force and once given as a prompt; in pieces, and past a cached beginning.
    """
    draw = random.Random(1)
    prompt = (1, *(draw.randrange(3, 512) for _ in range(70)))
    expected = []
    for length in range(1, 8):
        forced = GenerateRequest(tokens=prompt[:length], max_new_tokens=1, logprobs=True, ignore_eos=True)
        bias = GenerateRequest(**{**_fields(forced), "logit_bias": {prompt[length]: 100.0}})
        (chunks,) = run(plain, [bias])[0].values()
        expected.append(chunks[0].tokens[0].logprob)
    monkeypatch.setattr(paged, "STEP_TOKENS", step_tokens)
    engine = make(max_sequences=4)
    request = GenerateRequest(tokens=prompt, max_new_tokens=3, prompt_logprobs=True, stream=True, ignore_eos=True)
    found, _ = run(engine, [request, request])

    for id in (0, 1):
        told = found[id, 0][0].prompt
        assert prompt == tuple(token.id for token in told)
        assert told[0].logprob is None
        assert expected == pytest.approx([token.logprob for token in told[1:8]], abs=1e-3)
        assert all(not chunk.prompt for chunk in found[id, 0][1:])


def test_a_prompt_of_one_token_has_nothing_that_could_be_likely(plain: Engine) -> None:
    found, _ = run(plain, [GenerateRequest(tokens=(1,), max_new_tokens=2, prompt_logprobs=True)])

    assert [(1, None)] == [(token.id, token.logprob) for token in found[0, 0][0].prompt]


def test_a_prompt_is_told_once_with_the_first_of_several_answers(plain: Engine) -> None:
    request = GenerateRequest(prompt="Once upon", max_new_tokens=4, n=3, prompt_logprobs=True, sampling=Sampling(1.0))
    found, _ = run(plain, [request])

    assert [True, False, False] == [any(chunk.prompt for chunk in found[0, index]) for index in range(3)]


SCHEMA = """{"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"},
"likes": {"type": "array", "items": {"enum": ["ball", "dog"]}, "maxItems": 3}}, "required": ["name", "age", "likes"],
"additionalProperties": false}"""


@pytest.mark.parametrize("ignore_eos", [False, True])
def test_answers_take_the_form_of_their_schema_and_no_other_answer_does(plain: Engine, ignore_eos: bool) -> None:
    grammar = Grammar("json_schema", SCHEMA)
    requests = [
        GenerateRequest(
            prompt="Tom is", max_new_tokens=200, grammar=grammar, sampling=sampling, ignore_eos=ignore_eos, n=2
        )
        for sampling in SAMPLINGS.values()
    ]
    free = GenerateRequest(prompt="Tom is", max_new_tokens=20)
    found, _ = run(plain, [*requests, free])
    alone, _ = run(plain, [free])

    for key, text in texts(found).items():
        if key[0] < len(requests):
            answer = json.loads(text)
            assert {"name": str, "age": int, "likes": list} == {name: type(value) for name, value in answer.items()}
            assert {"ball", "dog"} >= set(answer["likes"])
    assert texts(found)[len(requests), 0] == texts(alone)[0, 0]


def test_what_a_form_forces_takes_no_step(plain: Engine) -> None:
    """Ten letters that must come are computed together, without any speculation."""
    request = GenerateRequest(prompt="Tom", grammar=Grammar("regex", "Once upon a time there was a (dog|cat)"))
    found, steps = run(plain, [request])
    (chunk,) = found[0, 0]

    assert chunk.text in ("Once upon a time there was a dog", "Once upon a time there was a cat")
    assert chunk.finish is not None
    assert 2 * steps < chunk.finish.generated_tokens


def test_an_answer_that_cannot_keep_its_form_fails_alone(plain: Engine) -> None:
    """The library's limits end an ambiguous grammar in the middle."""
    ambiguous = Grammar("lark", 'start: e\ne: e e | e e e | "a"')
    plain.submit(1, GenerateRequest(prompt="Tom", grammar=ambiguous, max_new_tokens=400, logit_bias=BIAS, n=2))
    plain.submit(2, GenerateRequest(prompt="Tom", max_new_tokens=5))
    items = []
    while plain.has_work():
        items += plain.step()

    failed = [item for item in items if isinstance(item, Failed)]
    assert [(1, "InvalidInput")] == [(item.id, item.error) for item in failed]
    assert "grammar" in failed[0].what
    assert [2] == [item.id for item in items if isinstance(item, Chunk)]


def test_a_malformed_grammar_is_refused_before_anything_runs(plain: Engine) -> None:
    with pytest.raises(InvalidInput):
        plain.submit(1, GenerateRequest(prompt="Tom", grammar=Grammar("json_schema", "{")))

    assert not plain.has_work()
