"""The worker process, with the fake engine."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from saker.engine.base import EngineOptions
from saker.engine.messages import (
    Cancel,
    Chunk,
    Embedded,
    Failed,
    GenerateRequest,
    LoadAdapter,
    Sampling,
    UnloadAdapter,
)
from support.workers import WorkerProcess, wait_until


def fake(folder: Path, **model: object) -> WorkerProcess:
    """A worker around a fake model."""
    (folder / "fake.json").write_text(json.dumps(model))
    return WorkerProcess("fake", EngineOptions(model_path=str(folder)))


def test_the_first_report_says_what_runs(tmp_path: Path) -> None:
    with fake(tmp_path) as worker:
        ready = worker.ready()

        assert ready.engine == "fake"
        assert "generate" in ready.capabilities.tasks
        assert ready.load_s > 0


def test_a_model_that_cannot_work_is_unfit_and_the_worker_ends_with_3(tmp_path: Path) -> None:
    with fake(tmp_path, fail="No such luck.") as worker:
        assert worker.unfit().what == "No such luck."
        assert worker.exit_code() == 3


def test_an_unknown_engine_names_the_nearest(tmp_path: Path) -> None:
    with WorkerProcess("gena", EngineOptions(model_path=str(tmp_path))) as worker:
        assert worker.unfit().fix == "Did you mean 'genai'?"


def test_another_engine_takes_what_the_first_cannot_load(tmp_path: Path) -> None:
    (tmp_path / "fake.json").write_text("{}")
    with WorkerProcess("paged", EngineOptions(str(tmp_path), fallback="fake")) as worker:
        assert worker.ready().engine == "fake"


def test_the_last_engine_says_why_none_can_load(tmp_path: Path) -> None:
    with WorkerProcess("paged", EngineOptions(str(tmp_path), fallback="genai")) as worker:
        assert "OpenVINO" in worker.unfit().what
        assert worker.exit_code() == 3


def test_the_worker_ends_when_its_gateway_does_even_while_loading(tmp_path: Path) -> None:
    with fake(tmp_path, load_s=600) as worker:
        worker.hang_up()

        assert worker.exit_code() == 0


def test_the_worker_ends_when_its_gateway_does_even_while_generating(tmp_path: Path) -> None:
    with fake(tmp_path, commands=True, delay_s=600) as worker:
        worker.ready()
        worker.start(GenerateRequest(prompt="a b"))
        worker.hang_up()

        assert worker.exit_code() == 0


@pytest.mark.parametrize(
    "frame",
    [
        b"\x00\x00\x00\x03abc",  # no MessagePack
        b"\x00\x00\x00\x01\xc0",  # MessagePack, but no command
        b"\xff\xff\xff\xff",  # longer than any frame
    ],
)
def test_a_malformed_frame_ends_the_worker_with_4(tmp_path: Path, frame: bytes) -> None:
    with fake(tmp_path) as worker:
        worker.ready()
        worker.send_bytes(frame)

        assert worker.exit_code() == 4


def test_half_a_frame_and_then_nothing_is_the_end_of_the_gateway(tmp_path: Path) -> None:
    with fake(tmp_path) as worker:
        worker.ready()
        worker.send_bytes(b"\x00\x00\x00\x09abc")
        worker.hang_up()

        assert worker.exit_code() == 0


def test_sigterm_ends_the_worker_with_0_even_while_loading(tmp_path: Path) -> None:
    with fake(tmp_path, load_s=600) as worker:
        name = Path(f"/proc/{worker.process.pid}/comm")
        wait_until(lambda: name.read_text().strip() == "saker-fake", "the worker has set itself up")
        worker.process.send_signal(signal.SIGTERM)

        assert worker.exit_code() == 0


def test_sigint_is_left_to_the_gateway(tmp_path: Path) -> None:
    with fake(tmp_path) as worker:
        worker.ready()
        worker.process.send_signal(signal.SIGINT)

        assert worker.ask(GenerateRequest(prompt="still here"))[0].text == "still here"


def test_an_unsupported_parameter_fails_that_request_alone(tmp_path: Path) -> None:
    with fake(tmp_path) as worker:
        worker.ready()
        failed = worker.ask_failing(GenerateRequest(prompt="a", sampling=Sampling(typical_p=0.5)))

        assert failed.error == "Unsupported"
        assert "'paged'" in failed.fix
        assert worker.ask(GenerateRequest(prompt="a"))[0].text == "a"


def test_a_failing_step_fails_all_running_requests(tmp_path: Path) -> None:
    with fake(tmp_path, commands=True) as worker:
        worker.ready()
        hanging = worker.start(GenerateRequest(prompt="__hang__"))
        failing = worker.start(GenerateRequest(prompt="__error__"))
        answers = worker.collect({hanging: 1, failing: 1})

        for id in (hanging, failing):
            failed = answers[id]
            assert isinstance(failed, Failed)
            assert failed.error == "EngineFailure"
        assert worker.ask(GenerateRequest(prompt="next"))[0].text == "next"


def test_a_hanging_request_is_over_once_cancelled(tmp_path: Path) -> None:
    with fake(tmp_path, commands=True) as worker:
        worker.ready()
        worker.cancel(worker.start(GenerateRequest(prompt="__hang__")))
        worker.send(Cancel(77))  # unknown ids are ignored

        assert worker.ask(GenerateRequest(prompt="next"))[0].text == "next"


def test_a_crash_ends_the_stream(tmp_path: Path) -> None:
    with fake(tmp_path, commands=True) as worker:
        worker.ready()
        worker.start(GenerateRequest(prompt="__crash__"))

        assert worker.exit_code() == 9


def test_tokens_of_several_requests_share_one_frame(tmp_path: Path) -> None:
    with fake(tmp_path, delay_s=0.05) as worker:
        worker.ready()
        ids = [worker.start(GenerateRequest(prompt="one two three", stream=True)) for _ in range(3)]
        together: list[Chunk] = []
        while {chunk.id for chunk in together} != set(ids):
            report = worker.receive()
            together = list(getattr(report, "chunks", ()))

        assert len(together) == 3


def test_embeddings_come_back_in_one_report(tmp_path: Path) -> None:
    with fake(tmp_path) as worker:
        worker.ready()
        report = worker.embed("one two", "three")

        assert isinstance(report, Embedded)
        assert len(report.vectors) == 2
        assert report.prompt_tokens == 3


@pytest.mark.parametrize("command", [LoadAdapter(5, "a", "/nothing"), UnloadAdapter(5, "a")])
def test_an_engine_without_adapters_says_so(tmp_path: Path, command: LoadAdapter | UnloadAdapter) -> None:
    with fake(tmp_path) as worker:
        worker.ready()
        worker.send(command)
        failed = worker.receive()

        assert isinstance(failed, Failed)
        assert (5, "Unsupported") == (failed.id, failed.error)
        assert "'paged'" in failed.fix
        assert worker.ask(GenerateRequest(prompt="still here"))[0].text == "still here"


def test_an_engine_without_adapters_is_unfit_where_they_are_wanted(tmp_path: Path) -> None:
    (tmp_path / "fake.json").write_text("{}")
    with WorkerProcess("fake", EngineOptions(model_path=str(tmp_path), adapter_bytes=1)) as worker:
        assert "'paged'" in worker.unfit().fix


def test_the_process_has_a_name_of_its_own(tmp_path: Path) -> None:
    with fake(tmp_path) as worker:
        worker.ready()

        assert Path(f"/proc/{worker.process.pid}/comm").read_text().strip() == "saker-fake"


def test_the_log_never_holds_a_prompt(tmp_path: Path) -> None:
    with fake(tmp_path, commands=True) as worker:
        worker.ready()
        worker.ask_failing(GenerateRequest(prompt="my secret __error__"))
        worker.hang_up()

        assert "secret" not in worker.log()


def test_the_worker_needs_nothing_of_the_package_above_the_engine(tmp_path: Path) -> None:
    package = tmp_path / "saker"
    package.mkdir()
    source = Path(__file__).parents[3] / "src" / "saker"
    for name in ("__init__.py", "core", "telemetry", "engine"):
        os.symlink(source / name, package / name)
    (tmp_path / "fake.json").write_text("{}")
    options = EngineOptions(model_path=str(tmp_path))
    with WorkerProcess("fake", options, only_saker=tmp_path) as worker:
        worker.ready()

        assert worker.ask(GenerateRequest(prompt="alone"))[0].text == "alone"
