"""What every engine must do, checked through real worker processes and their frames."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from saker.engine.base import EngineOptions
from saker.engine.messages import Chunk, Failed, GenerateRequest, Message, Ready, Sampling
from support.environment import ROOT, data, torch_python
from support.workers import Answer, WorkerProcess, wait_until

EMBEDDED = ROOT / "src" / "saker" / "models" / "embedded"
PROMPT = "Once upon a time, there was a"
SLOTS = 4
"""How many answers each worker here runs at once."""


@dataclass
class Kind:
    """One way to run an engine."""

    engine: str
    needs_torch: bool = False
    options: dict[str, object] = field(default_factory=dict)


KINDS = {
    "fake": Kind("fake"),
    "genai": Kind("genai"),
    "paged": Kind("paged"),
    "transformers": Kind("transformers", needs_torch=True, options={"continuous_batching": False}),
    "transformers-batched": Kind("transformers", needs_torch=True, options={"continuous_batching": True}),
}
MARKS = {
    "fake": [],
    "genai": [pytest.mark.real],
    "paged": [pytest.mark.real],
    "transformers": [pytest.mark.real, pytest.mark.torch],
    "transformers-batched": [pytest.mark.real, pytest.mark.torch],
}


@dataclass
class Engine:
    """A running worker and what it said of itself."""

    worker: WorkerProcess
    ready: Ready

    def require(self, *parameters: str) -> None:
        """Skip where the engine declares that it cannot."""
        missing = set(parameters) - self.ready.capabilities.parameters
        if missing:
            pytest.skip(f"The engine does not declare {', '.join(sorted(missing))}.")


def model_for(kind: Kind, folder: Path) -> Path:
    """A folder with a model for an engine."""
    if kind.engine in ("genai", "paged"):
        return EMBEDDED
    if kind.engine == "fake":
        (folder / "fake.json").write_text(json.dumps({"delay_s": 0.001, "max_context": 512}))
        return folder
    weights = data("tiny_llm_weights") / "stories260K.hf" / "model.safetensors"
    os.symlink(weights, folder / "model.safetensors")
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        os.symlink(EMBEDDED / name, folder / name)
    return folder


def start(kind: Kind, folder: Path) -> WorkerProcess:
    """A worker of this kind around a small model, in fp32."""
    options = EngineOptions(
        model_path=str(model_for(kind, folder)),
        precision="fp32",
        max_sequences=SLOTS,
        **kind.options,  # type: ignore[arg-type]  # each kind names fields of EngineOptions
    )
    if not kind.needs_torch:
        return WorkerProcess(kind.engine, options)
    only_saker = folder / "path"
    only_saker.mkdir()
    os.symlink(ROOT / "src" / "saker", only_saker / "saker")
    return WorkerProcess(kind.engine, options, python=torch_python(), only_saker=only_saker)


@pytest.fixture(scope="module", params=[pytest.param(name, marks=MARKS[name]) for name in KINDS])
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture(scope="module")
def engine(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with start(kind, tmp_path_factory.mktemp(kind.engine)) as worker:
        yield Engine(worker, worker.ready())


def ask(engine: Engine, **fields: object) -> Answer:
    """One answer to the usual prompt."""
    request = GenerateRequest(**({"prompt": PROMPT, "max_new_tokens": 24} | fields))  # type: ignore[arg-type]
    return engine.worker.ask(request)[0]


def reason(answer: Answer) -> str:
    assert answer.finish is not None
    return answer.finish.reason


def test_streamed_text_is_the_same_as_text_at_once(engine: Engine) -> None:
    streamed, whole = ask(engine, stream=True), ask(engine)

    assert streamed.text == whole.text != ""
    assert len(streamed.chunks) > 3
    assert len(whole.chunks) == 1
    assert streamed.finish == whole.finish


def test_answers_end_at_the_limit_with_its_count(engine: Engine) -> None:
    answer = ask(engine, max_new_tokens=5)

    assert answer.finish is not None
    assert (answer.finish.reason, answer.finish.generated_tokens) == ("length", 5)


def test_counts_are_those_of_the_tokenizer(engine: Engine) -> None:
    answer = ask(engine, max_new_tokens=1)

    assert answer.finish is not None
    assert answer.finish.prompt_tokens == (7 if engine.ready.engine == "fake" else 9)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_ends_before_a_stop_string(engine: Engine, stream: bool) -> None:
    text = ask(engine).text
    stop = text[8:14]
    answer = ask(engine, stop=(stop, "never said"), stream=stream)

    assert answer.text == text[: text.index(stop)]
    assert reason(answer) == "stop_sequence"


def test_a_stop_string_that_never_comes_takes_nothing_away(engine: Engine) -> None:
    text = ask(engine).text

    assert ask(engine, stop=(text[-4:] + "\0",), stream=True).text == text


def test_the_same_seed_gives_the_same_answer(engine: Engine) -> None:
    engine.require("temperature", "seed")
    sampling = Sampling(temperature=1.5, seed=11)
    first, second = ask(engine, sampling=sampling), ask(engine, sampling=sampling)

    assert first.text == second.text
    assert first.finish is not None
    assert first.finish.seed == 11
    assert ask(engine, sampling=Sampling(temperature=1.5, seed=12)).text != first.text


def test_without_a_seed_the_one_that_was_drawn_is_told(engine: Engine) -> None:
    engine.require("temperature", "seed")
    first = ask(engine, sampling=Sampling(temperature=1.5))
    assert first.finish is not None
    again = ask(engine, sampling=Sampling(temperature=1.5, seed=first.finish.seed))

    assert again.text == first.text


def test_sampled_text_streams_the_same_whatever_bytes_come(engine: Engine) -> None:
    engine.require("temperature", "seed")
    for seed in range(8):
        sampling = Sampling(temperature=3.0, seed=seed)

        assert ask(engine, sampling=sampling, stream=True).text == ask(engine, sampling=sampling).text


def test_every_sampling_parameter_at_once_is_taken(engine: Engine) -> None:
    every = {"temperature": 0.9, "top_k": 40, "top_p": 0.9, "min_p": 0.01, "typical_p": 0.95, "seed": 1} | {
        "repetition_penalty": 1.1,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.1,
    }
    declared = {name: value for name, value in every.items() if name in engine.ready.capabilities.parameters}

    assert ask(engine, sampling=Sampling(**declared)).text  # type: ignore[arg-type]


def test_keeping_only_the_likeliest_token_is_greedy(engine: Engine) -> None:
    engine.require("temperature", "top_k", "top_p", "min_p")
    greedy = ask(engine).text
    for sampling in (
        Sampling(temperature=2.0, top_k=1),
        Sampling(temperature=2.0, top_p=0.0001),
        Sampling(temperature=2.0, min_p=1.0),
    ):
        assert ask(engine, sampling=sampling).text == greedy


def test_penalties_change_the_answer(engine: Engine) -> None:
    engine.require("repetition_penalty", "frequency_penalty", "presence_penalty")
    long = {"prompt": "They ran and ran ran ran home", "max_new_tokens": 100, "ignore_eos": True}
    greedy = ask(engine, **long).text
    for sampling in (Sampling(repetition_penalty=3.0), Sampling(frequency_penalty=2.0), Sampling(presence_penalty=2.0)):
        assert ask(engine, sampling=sampling, **long).text != greedy


def test_several_answers_are_independent_and_complete(engine: Engine) -> None:
    engine.require("n")
    can_sample = "temperature" in engine.ready.capabilities.parameters
    sampling = Sampling(temperature=1.5, seed=3) if can_sample else Sampling()
    answers = engine.worker.ask(GenerateRequest(prompt=PROMPT, max_new_tokens=24, n=3, sampling=sampling, stream=True))

    assert all(answer.finish is not None for answer in answers)
    assert len({answer.text for answer in answers}) == (3 if can_sample else 1)


def test_log_probabilities_come_with_every_token(engine: Engine) -> None:
    engine.require("logprobs")
    answer = ask(engine, logprobs=True, stream=True)

    assert answer.finish is not None
    assert len(answer.tokens) == answer.finish.generated_tokens
    assert "".join(token.text for token in answer.tokens) == answer.text
    assert all(token.logprob <= 0 for token in answer.tokens)


def test_log_probabilities_do_not_change_with_the_temperature(engine: Engine) -> None:
    engine.require("logprobs", "temperature", "top_k")
    plain = ask(engine, logprobs=True)
    hot = ask(engine, logprobs=True, sampling=Sampling(temperature=5.0, top_k=1))

    assert [token.logprob for token in hot.tokens] == pytest.approx([t.logprob for t in plain.tokens], abs=1e-3)


def test_a_request_that_does_not_fit_is_refused_with_the_counts(engine: Engine) -> None:
    failed = engine.worker.ask_failing(GenerateRequest(prompt=PROMPT, max_new_tokens=600))

    assert failed.error == "TooLarge"
    message = f"{failed.what} {failed.why}"
    assert "600" in message
    assert "512" in message
    assert str(7 if engine.ready.engine == "fake" else 9) in message


def test_an_answer_may_fill_the_context(engine: Engine) -> None:
    answer = ask(engine, max_new_tokens=None, ignore_eos=True)

    assert answer.finish is not None
    assert answer.finish.prompt_tokens + answer.finish.generated_tokens == 512


def test_truncate_cuts_a_long_prompt_from_its_beginning(engine: Engine) -> None:
    answer = ask(engine, prompt="word " * 600 + "end", truncate=16, max_new_tokens=1)

    assert answer.finish is not None
    assert answer.finish.prompt_tokens == 16


def test_an_empty_prompt_of_tokens_is_refused(engine: Engine) -> None:
    if engine.ready.engine == "fake":
        pytest.skip("The fake engine answers nothing with nothing.")
    assert engine.worker.ask_failing(GenerateRequest(tokens=())).error == "InvalidInput"


def test_ids_outside_the_vocabulary_are_refused(engine: Engine) -> None:
    if engine.ready.engine == "fake":
        pytest.skip("The fake engine has no vocabulary.")
    for tokens in ((1, 512), (1, -1)):
        assert engine.worker.ask_failing(GenerateRequest(tokens=tokens)).error == "InvalidInput"


def test_an_undeclared_parameter_is_refused_by_its_name(engine: Engine) -> None:
    if "typical_p" in engine.ready.capabilities.parameters:
        pytest.skip("The engine honours every parameter.")
    failed = engine.worker.ask_failing(GenerateRequest(prompt=PROMPT, sampling=Sampling(typical_p=0.5)))

    assert failed.error == "Unsupported"
    assert "'typical_p'" in failed.what


def test_a_conversation_is_answered(engine: Engine) -> None:
    messages = (Message("user", "Lily had"), Message("user", "a big red ball."))
    (answer,) = engine.worker.ask(GenerateRequest(messages=messages, max_new_tokens=8))

    assert answer.text


def test_concurrent_answers_are_those_given_alone(engine: Engine) -> None:
    prompts = [f"{PROMPT} {word}" for word in ("boy", "girl", "dog", "cat", "bird", "fish", "tree", "house", "car")]
    requests = [
        GenerateRequest(prompt=text, max_new_tokens=24, stream=place % 2 == 0) for place, text in enumerate(prompts)
    ]
    alone = [engine.worker.ask(request)[0].text for request in requests]
    ids = [engine.worker.start(request) for request in requests]
    found = engine.worker.collect(dict.fromkeys(ids, 1))

    assert [texts(found[id]) for id in ids] == [[text] for text in alone]


def texts(answers: list[Answer] | Failed) -> list[str]:
    assert isinstance(answers, list), answers
    return [answer.text for answer in answers]


def test_cancelled_requests_free_their_slots_and_say_no_more(engine: Engine) -> None:
    long = GenerateRequest(prompt=PROMPT, ignore_eos=True, stream=True)
    ids = {engine.worker.start(long) for _ in range(SLOTS)}
    seen: set[int] = set()
    for item in engine.worker.chunks():
        seen.add(item.id)
        if seen == ids:
            break
    for id in ids:
        engine.worker.cancel(id)
        engine.worker.cancel(id)  # safe to call twice
    waiting = engine.worker.start(GenerateRequest(prompt=PROMPT, max_new_tokens=4))
    finished: set[int] = set()
    for item in engine.worker.chunks():
        assert isinstance(item, Chunk), item
        if item.finish is not None:
            finished.add(item.id)
        if item.id == waiting:
            break

    assert finished == {waiting}


def test_a_worker_ends_with_its_gateway_even_while_loading(kind: Kind, tmp_path: Path) -> None:
    with start(kind, tmp_path) as worker:
        if kind.engine == "genai":
            # Its libraries are in memory: loading is under way.
            maps = Path(f"/proc/{worker.process.pid}/maps")
            wait_until(lambda: "openvino_genai" in maps.read_text(), "the engine's library is loaded")
        worker.hang_up()

        assert worker.exit_code() == 0


def test_a_folder_without_a_model_is_unfit(kind: Kind, tmp_path: Path) -> None:
    options = EngineOptions(model_path=str(tmp_path / "nothing"))
    python, path = (torch_python(), ROOT / "src") if kind.needs_torch else (None, None)
    with WorkerProcess(kind.engine, options, **({"python": python, "only_saker": path} if python else {})) as worker:  # type: ignore[arg-type]
        assert worker.unfit().what
        assert worker.exit_code() == 3
