"""What the contract cannot say about the paged engine, in-process and with the model that ships inside the package."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from saker.core.errors import InvalidInput, Unsupported
from saker.engine.base import Engine, EngineOptions
from saker.engine.messages import Chunk, Failed, GenerateRequest, Sampling

pytestmark = pytest.mark.real
paged = pytest.importorskip("saker.engine.paged.engine")
genai = pytest.importorskip("saker.engine.genai")

EMBEDDED = Path(str(files("saker.models") / "embedded"))
BLOCK_BYTES = 40_960
"""Of the embedded model in fp32: 5 layers, 4 heads of 8 numbers for keys and for values, 32 tokens."""
GENAI_STEP_TOKENS = 256
"""Of one step of OpenVINO GenAI; a piece of a prompt rounds otherwise when its length is another."""

CUT_LENGTHS = (5, 17, 33, 64, 100, 257, 400, 31)


def prompt(length: int, seed: int = 0) -> tuple[int, ...]:
    draw = random.Random(1000 * seed + length)
    return (1, *(draw.randrange(3, 512) for _ in range(length - 1)))


def make(**options: Any) -> Engine:
    made: Engine = paged.PagedEngine(EngineOptions(str(EMBEDDED), **({"precision": "fp32"} | options)))
    return made


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = make(kv_cache_bytes=2000 * BLOCK_BYTES)
    yield made
    made.close()


def run(engine: Engine, requests: Sequence[GenerateRequest], steps: int = 100_000) -> dict[tuple[int, int], list[int]]:
    """The tokens of each answer, by request and answer."""
    for id, request in enumerate(requests):
        engine.submit(id, request)
    found: dict[tuple[int, int], list[int]] = {}
    while engine.has_work() and steps:
        steps -= 1
        for item in engine.step():
            assert isinstance(item, Chunk), item
            found.setdefault((item.id, item.index), []).extend(token.id for token in item.tokens)
    return found


def request(tokens: Sequence[int], new_tokens: int = 48, **fields: Any) -> GenerateRequest:
    return GenerateRequest(tokens=tuple(tokens), max_new_tokens=new_tokens, logprobs=True, ignore_eos=True, **fields)


def available(engine: Engine) -> int:
    count: int = engine._pool.available  # type: ignore[attr-defined]  # what no request can see
    return count


@pytest.mark.parametrize("precision", ["fp32", "default"])
def test_ragged_prompts_give_the_tokens_of_genai(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paged, "STEP_TOKENS", GENAI_STEP_TOKENS)
    options = EngineOptions(str(EMBEDDED), precision=precision)
    requests = [request(prompt(length), sampling=Sampling(repetition_penalty=1.3)) for length in CUT_LENGTHS]
    own, other = paged.PagedEngine(options), genai.GenAIEngine(options)

    expected, found = run(other, requests), run(own, requests)
    own.close()
    other.close()

    assert expected == found
    assert all(len(set(tokens)) > 20 for tokens in found.values())  # no trivial answers


def test_pieces_of_prompts_give_the_tokens_of_whole_ones(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paged, "STEP_TOKENS", 16)
    requests = [request(prompt(length, 1)) for length in CUT_LENGTHS]
    pieces = make(max_sequences=16)

    assert run(engine, requests) == run(pieces, requests)


def test_a_known_beginning_is_not_computed_again(engine: Engine) -> None:
    requests = [request(prompt(300, 2), 40)]
    first = run(engine, requests)
    engine.submit(0, requests[0])
    engine.step()
    (sequence,) = engine._loop._batch.running  # type: ignore[attr-defined]  # unseen by requests

    assert 300 == sequence.computed
    again: list[int] = []
    while engine.has_work():
        again += [token.id for item in engine.step() for token in item.tokens]  # type: ignore[union-attr]
    assert first[0, 0] == again


def test_too_little_room_costs_time_and_no_token(engine: Engine) -> None:
    requests = [request(prompt(length, 3), 60) for length in CUT_LENGTHS]
    small = make(kv_cache_bytes=24 * BLOCK_BYTES)

    assert run(engine, requests) == run(small, requests)
    assert small._loop._batch.preemptions > 0  # type: ignore[attr-defined]  # unseen by requests
    assert available(small) == 24


def test_the_cache_never_exceeds_its_bytes() -> None:
    small = make(kv_cache_bytes=24 * BLOCK_BYTES + 1)
    caches = small._loop._runner._caches  # type: ignore[attr-defined]  # unseen by requests

    assert sum(cache.nbytes for cache in caches) == 24 * BLOCK_BYTES


def test_a_context_longer_than_the_cache_is_cut_to_it() -> None:
    assert make(kv_cache_bytes=3 * BLOCK_BYTES).describe().max_context == 96


@pytest.mark.parametrize("slots", [2, 8])
def test_answers_to_one_prompt_are_those_given_alone(engine: Engine, slots: int) -> None:
    """
    They share the prompt's blocks, and each writes a copy of the last; those without a place wait.
    """
    sampling = [Sampling(temperature=1.0, seed=40 + index) for index in range(4)]
    few = make(max_sequences=slots)
    together = run(few, [request(prompt(45, 4), n=4, sampling=sampling[0])])
    alone = [run(engine, [request(prompt(45, 4), sampling=settings)])[0, 0] for settings in sampling]

    assert alone == [together[0, index] for index in range(4)]


def test_a_cancelled_request_leaves_nothing_behind_in_any_state(engine: Engine) -> None:
    held = available(engine)
    for steps in range(6):
        for id in range(3):
            engine.submit(id, request(prompt(400 + id, 5 + steps), n=2))
        for _ in range(steps):
            engine.step()
        for id in range(3):
            engine.cancel(id)

        assert not engine.has_work()
        assert held == available(engine)


def test_a_request_past_its_deadline_fails_and_the_others_go_on(engine: Engine) -> None:
    engine.submit(1, request(prompt(20), deadline_s=0.0))
    engine.submit(2, request(prompt(20), 1, deadline_s=1000.0))
    produced = engine.step()

    assert [(1, "DeadlineExceeded")] == [(item.id, item.error) for item in produced if isinstance(item, Failed)]
    assert [2] == [item.id for item in produced if isinstance(item, Chunk)]
    assert not engine.has_work()


def test_the_more_important_overtakes() -> None:
    one = make(max_sequences=1)
    one.submit(1, request(prompt(20), 30, priority=1))
    one.step()
    one.submit(2, request(prompt(20), 30, priority=0))
    order = []
    while one.has_work():
        order += [item.id for item in one.step() if isinstance(item, Chunk) and item.finish]

    assert [2, 1] == order


def test_a_bias_forbids_and_forces(engine: Engine) -> None:
    plain = run(engine, [request(prompt(9), 1)])[0, 0]
    forbidden = run(engine, [request(prompt(9), 1, logit_bias={plain[0]: -100.0})])[0, 0]
    forced = run(engine, [request(prompt(9), 4, logit_bias={77: 100.0})])[0, 0]

    assert plain != forbidden
    assert [77] * 4 == forced
    with pytest.raises(InvalidInput, match="512"):
        engine.submit(1, request(prompt(9), logit_bias={512: 1.0}))


def test_the_likeliest_tokens_come_with_each_token(engine: Engine) -> None:
    engine.submit(1, GenerateRequest(tokens=prompt(9), max_new_tokens=3, top_logprobs=4, stream=True))
    tokens = []
    while engine.has_work():
        tokens += [token for item in engine.step() for token in item.tokens]  # type: ignore[union-attr]

    assert 3 == len(tokens)
    for token in tokens:
        likeliest = [other.logprob for other in token.top]
        assert (token.id, token.logprob) == (token.top[0].id, likeliest[0])
        assert sorted(likeliest, reverse=True) == likeliest
        assert 4 == len(likeliest)


def test_a_watermark_is_detected_and_costs_no_other_answer(engine: Engine) -> None:
    from saker.engine.paged.watermark import detect

    sampling = Sampling(temperature=1.0, seed=3)
    plain, marked = run(
        engine, [request(prompt(9), 200, sampling=sampling), request(prompt(9), 200, sampling=sampling, watermark=True)]
    ).values()

    assert run(engine, [request(prompt(9), 200, sampling=sampling)])[0, 0] == plain
    assert detect(marked).p_value < 1e-6 < 1e-3 < detect(plain).p_value


def test_what_cannot_be_given_paged_attention_is_refused_with_a_way_out(tmp_path: Path) -> None:
    shutil.copytree(EMBEDDED, tmp_path / "model")
    model = tmp_path / "model" / "openvino_model.xml"
    text = model.read_text()
    model.write_text(text.replace('names="input_ids"', 'names="pixels"'))

    with pytest.raises(Unsupported, match="'genai'"):
        paged.PagedEngine(EngineOptions(str(tmp_path / "model")))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"precision": "fp8"}, "fp8"),
        ({"device": "cuda"}, "transformers"),
        ({"model_path": "/nothing/model.gguf"}, "genai"),
        ({"model_path": "/nothing"}, "nothing"),
    ],
)
def test_what_it_cannot_do_is_refused_at_load(options: dict[str, Any], word: str) -> None:
    with pytest.raises(Unsupported, match=word):
        paged.PagedEngine(EngineOptions(**({"model_path": str(EMBEDDED)} | options)))


def test_a_step_with_nothing_to_draw_yields_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paged, "STEP_TOKENS", 16)
    slow = make(max_sequences=2)
    slow.submit(1, request(prompt(40), 1))

    assert [[], []] == [slow.step(), slow.step()]
    assert [1] == [item.id for item in slow.step()]
