"""A variant becomes something that the fleet can start."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from saker.core.errors import InvalidInput, NotFound, Unavailable
from saker.engine.base import EngineOptions
from saker.fleet.base import ReplicaSpec, Wanted
from saker.models.base import MemoryEstimate, Preparation, PreparedModel, Progress, ProgressCallback
from saker.models.environments import EngineEnvironments
from saker.models.source import ModelSource
from saker.serving.base import Container, DeployedVariant, Variant
from saker.serving.planner import Planner
from saker.settings import Secret, Settings
from support.serving import FakePreparer


class OnePreparer:
    """Prepares every model as the same one, with the same progress."""

    def __init__(self, prepared: PreparedModel, *progress: Progress) -> None:
        self.prepared = prepared
        self.progress = progress

    async def prepare(self, request: Preparation, progress: ProgressCallback) -> PreparedModel:
        """The model."""
        for each in self.progress:
            progress(each)
        return self.prepared


def make_prepared(**changes: Any) -> PreparedModel:
    values: dict[str, Any] = {
        "path": Path("/m"),
        "engine": "genai",
        "format": "openvino",
        "content_hash": "00",
        "bytes_on_disk": 1,
        "memory": MemoryEstimate(weights_bytes=1000, kv_bytes_per_token=2, max_context=100, runtime_bytes=30),
    }
    return PreparedModel(**(values | changes))


def deployed(count: int = 1, **environment: str) -> DeployedVariant:
    return DeployedVariant(
        Variant("v", "m", count=count), Container(environment={"HF_MODEL_ID": "acme/m"} | environment)
    )


def make_planner(models: Any, folder: Path, settings: Settings | None = None) -> Planner:
    return Planner(models, EngineEnvironments(folder), settings or Settings())


def ignore(_: str) -> None:
    """Takes a report."""


async def test_a_plan_holds_what_the_container_says_and_the_model_needs(tmp_path: Path) -> None:
    planner = make_planner(OnePreparer(make_prepared()), tmp_path)

    wanted = await planner.plan(
        deployed(
            count=3,
            MAX_TOTAL_TOKENS="64",
            SAKER_PRECISION="fp32",
            SAKER_THREADS="2",
            SAKER_KV_CACHE_BYTES="4096",
            SAKER_MAX_SEQUENCES="5",
            SAKER_SPECULATION="6",
            SAKER_CHAT_TEMPLATE="{{ messages }}",
            SAKER_TRUST_REMOTE_CODE="1",
        ),
        ignore,
    )

    options = EngineOptions(
        "/m",
        precision="fp32",
        max_context=64,
        max_sequences=5,
        kv_cache_bytes=4096,
        threads=2,
        chat_template="{{ messages }}",
        trust_remote_code=True,
        speculation=6,
    )
    assert wanted == Wanted(ReplicaSpec("genai", options, Path(sys.executable), memory_bytes=1158), 3)


@pytest.mark.parametrize(
    ("asked", "taken", "fallback"),
    [("auto", "paged", "genai"), ("paged", "paged", None), ("auto", "genai", None), ("auto", "fake", None)],
)
async def test_another_engine_may_take_over_only_where_none_was_asked_for(
    tmp_path: Path, asked: str, taken: Any, fallback: str | None
) -> None:
    models = OnePreparer(make_prepared(engine=taken))
    wanted = await make_planner(models, tmp_path).plan(deployed(SAKER_ENGINE=asked), ignore)

    assert fallback == wanted.spec.options.fallback


async def test_room_for_adapters_counts_twice(tmp_path: Path) -> None:
    planner = make_planner(OnePreparer(make_prepared()), tmp_path)
    plain = await planner.plan(deployed(), ignore)
    wanted = await planner.plan(deployed(SAKER_ADAPTER_BYTES="5000"), ignore)

    assert plain.spec.memory_bytes + 10_000 == wanted.spec.memory_bytes


async def test_what_the_container_leaves_open_is_left_to_the_engine(tmp_path: Path) -> None:
    wanted = await make_planner(OnePreparer(make_prepared()), tmp_path).plan(deployed(), ignore)

    assert wanted.spec.options == EngineOptions("/m")


async def test_the_preparation_says_which_model_how_and_with_whose_token(tmp_path: Path) -> None:
    models = FakePreparer()
    settings = Settings(hf_endpoint="http://hub", hf_token=Secret("ours"))

    await make_planner(models, tmp_path, settings).plan(
        deployed(HF_MODEL_REVISION="v2", SAKER_ENGINE="transformers", SAKER_WEIGHT_FORMAT="bf16"), ignore
    )

    assert models.seen == [
        Preparation(
            source=ModelSource("hub", "acme/m", "v2"),
            engine="transformers",
            weight_format="bf16",
            hub_token=Secret("ours"),
            hub_endpoint="http://hub",
        )
    ]


async def test_an_engine_whose_environment_is_missing_is_refused_with_the_command_that_makes_it(tmp_path: Path) -> None:
    planner = make_planner(OnePreparer(make_prepared(engine="transformers")), tmp_path)

    with pytest.raises(Unavailable, match="saker engines install torch"):
        await planner.plan(deployed(), ignore)


async def test_a_container_that_cannot_be_read_is_refused_before_any_download(tmp_path: Path) -> None:
    models = FakePreparer()

    with pytest.raises(InvalidInput, match="MAX_TOTEL_TOKENS"):
        await make_planner(models, tmp_path).plan(deployed(MAX_TOTEL_TOKENS="5"), ignore)

    assert models.seen == []


async def test_a_preparation_that_fails_fails_the_plan(tmp_path: Path) -> None:
    models = FakePreparer()
    models.fail("m", NotFound("The hub has no such model."))

    with pytest.raises(NotFound, match="The hub has no such model"):
        await make_planner(models, tmp_path).plan(deployed(), ignore)


async def test_progress_is_reported_in_lines_at_each_tenth_and_change(tmp_path: Path) -> None:
    steps = [Progress("download", "model.bin", done, 100) for done in range(0, 31, 2)]
    models = OnePreparer(make_prepared(notes=("It keeps int8.",)), Progress("resolve"), *steps, Progress("convert"))
    lines: list[str] = []

    await make_planner(models, tmp_path).plan(deployed(), lines.append)

    assert lines == [
        "resolve",
        "download 0 %: model.bin",
        "download 10 %: model.bin",
        "download 20 %: model.bin",
        "download 30 %: model.bin",
        "convert",
        "It keeps int8.",
    ]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, 1230),  # 1000 of weights, 30 of the runtime, 2 for each of 100 tokens
        ({"MAX_TOTAL_TOKENS": "4"}, 1038),
        ({"MAX_TOTAL_TOKENS": "4096"}, 1230),  # no model has more context than it was made with
    ],
)
async def test_a_shorter_context_needs_less_memory(tmp_path: Path, variables: dict[str, str], expected: int) -> None:
    container = Container(environment={"HF_MODEL_ID": "acme/m"} | variables)
    variant = DeployedVariant(deployed().variant, container)

    wanted = await make_planner(OnePreparer(make_prepared()), tmp_path).plan(variant, ignore)

    assert expected == wanted.spec.memory_bytes
