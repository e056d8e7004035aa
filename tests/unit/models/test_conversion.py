"""Conversions in the real conversion environment."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from saker.models import architectures
from saker.models.base import Preparation, PreparedModel, Progress
from saker.models.conversion import int4_group_size
from saker.models.environments import EngineEnvironments
from saker.models.source import ModelSource
from saker.models.store import EMBEDDED, ModelStore
from support.environment import data, torch_python

STORY = "Once upon a time, there was a little girl named Lily."


@pytest.fixture(scope="session")
def engines() -> EngineEnvironments:
    """The engine environments, with torch ready."""
    environments = EngineEnvironments(Path(torch_python()).parents[2])
    if environments.status("torch").state != "ready":
        pytest.skip(f"The torch engine environment is {environments.status('torch').state}.")
    return environments


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    """The checkpoint stories260K with its tokenizer, which is the embedded model's."""
    folder = tmp_path / "stories"
    shutil.copytree(data("tiny_llm_weights") / "stories260K.hf", folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(EMBEDDED / name, folder)
    return folder


async def prepare(store: ModelStore, source: Path, **options: Any) -> PreparedModel:
    return await store.prepare(Preparation(ModelSource.parse(str(source)), **options), lambda p: None)


@pytest.mark.torch
@pytest.mark.parametrize(("weight_format", "least", "most"), [("fp32", 1.0, 1.01), ("int8", 0.25, 0.3)])
async def test_a_converted_model_tells_its_story(
    home: Path, engines: EngineEnvironments, stories: Path, weight_format: str, least: float, most: float
) -> None:
    prepared = await prepare(ModelStore(home, engines), stories, weight_format=weight_format)
    original = (stories / "model.safetensors").stat().st_size

    assert ("paged", "openvino") == (prepared.engine, prepared.format)
    assert least * 0.99 < prepared.memory.weights_bytes / original < most
    assert STORY == await asyncio.to_thread(generate, prepared.path, 40)
    assert (stories / "config.json").read_text() == (prepared.path / "config.json").read_text()
    assert [prepared.path.name] == [path.name for path in (home / "converted").iterdir()]


@pytest.mark.torch
async def test_equal_contents_are_converted_once(home: Path, engines: EngineEnvironments, stories: Path) -> None:
    store = ModelStore(home, engines)
    copy = stories.with_name("copy")
    shutil.copytree(stories, copy)
    first, second = await asyncio.gather(prepare(store, stories), prepare(store, copy))
    began = time.monotonic()

    assert first.path == second.path == (await prepare(store, stories)).path
    assert time.monotonic() - began < 1.0


@pytest.mark.torch
async def test_a_converted_model_outlives_its_environment(
    home: Path, engines: EngineEnvironments, stories: Path, tmp_path: Path
) -> None:
    first = await prepare(ModelStore(home, engines), stories, weight_format="fp16")

    assert first == await prepare(
        ModelStore(home, EngineEnvironments(tmp_path / "none")), stories, weight_format="fp16"
    )


@pytest.mark.torch
async def test_cancelling_a_conversion_leaves_nothing(home: Path, engines: EngineEnvironments, stories: Path) -> None:
    begun = asyncio.Event()

    def listen(progress: Progress) -> None:
        if progress.phase == "convert" and progress.done == 1:
            begun.set()

    task = asyncio.create_task(ModelStore(home, engines).prepare(Preparation(ModelSource.parse(str(stories))), listen))
    await asyncio.wait_for(begun.wait(), 120)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [] == list((home / "converted").iterdir())


@pytest.mark.torch
async def test_kill_9_during_a_conversion_leaves_nothing_half(
    home: Path, engines: EngineEnvironments, stories: Path
) -> None:
    code = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from saker.models.base import Preparation\nfrom saker.models.environments import EngineEnvironments\n"
        "from saker.models.source import ModelSource\nfrom saker.models.store import ModelStore\n"
        "store = ModelStore(Path(sys.argv[1]), EngineEnvironments(Path(sys.argv[2])))\n"
        "request = Preparation(ModelSource.parse(sys.argv[3]))\n"
        "tell = lambda p: print(p.phase, p.done, flush=True)\n"
        "async def main(): await store.prepare(request, tell)\nasyncio.run(main())"
    )
    platform = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(home), str(engines.home), str(stories), stdout=asyncio.subprocess.PIPE
    )
    assert platform.stdout is not None
    async for line in platform.stdout:
        if line == b"convert 1\n":
            platform.kill()
    await platform.wait()
    assert ["work-"] == [path.name[:5] for path in (home / "converted").iterdir() if path.is_dir()]
    ModelStore(home, engines)

    assert [] == list((home / "converted").iterdir())


@pytest.mark.torch
def test_the_known_architectures_are_those_of_the_libraries(engines: EngineEnvironments) -> None:
    code = (
        "import json\nimport optimum.exporters.openvino\nfrom optimum.exporters.tasks import TasksManager\n"
        "from transformers.models.auto import modeling_auto as auto\n"
        "import transformers\nfrom packaging.version import parse\n"
        "types = TasksManager._LIBRARY_TO_SUPPORTED_MODEL_TYPES['transformers']\n"
        "found = {t: v['openvino'].get('text-generation-with-past') for t, v in types.items() if 'openvino' in v}\n"
        "def fits(c):\n"
        "    c, now = getattr(c, 'func', c), parse(transformers.__version__)\n"
        "    low, high = (getattr(c, f'{end}_TRANSFORMERS_VERSION', None) for end in ('MIN', 'MAX'))\n"
        "    return not (low and parse(str(low)) > now) and not (high and parse(str(high)) < now)\n"
        "openvino = [t for t, c in found.items() if c]\n"
        "exported = [t for t in openvino if fits(found[t])]\n"
        "print(json.dumps([openvino, exported, list(auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES),"
        " list(auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES)]))"
    )
    output = subprocess.run([engines.python("torch"), "-c", code], capture_output=True, text=True, check=True).stdout
    openvino, exported, causal, encoder_decoder = map(set, json.loads(output.splitlines()[-1]))

    assert exported >= architectures.OPENVINO
    assert openvino >= architectures.RECURRENT
    assert causal >= architectures.TRANSFORMERS
    assert encoder_decoder >= architectures.ENCODER_DECODER


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"hidden_size": 4096, "intermediate_size": 11008}, 128),
        ({"hidden_size": 2304, "intermediate_size": 5824}, 64),
        ({"hidden_size": 2080, "intermediate_size": 5824}, 32),
        ({"hidden_size": 64}, 32),
        ({}, 32),
        ({"hidden_size": "large"}, 32),
    ],
)
def test_int4_groups_fit_the_models_shape(config: dict[str, Any], expected: int) -> None:
    assert expected == int4_group_size(config)


def generate(folder: Path, tokens: int) -> str:
    """The greedy continuation's first sentence, by the bare pipeline in a process of its own, as workers have it."""
    code = (
        "import sys, openvino, openvino_genai, tokenizers, numpy\n"
        "tokenizer = tokenizers.Tokenizer.from_file(sys.argv[1] + '/tokenizer.json')\n"
        "properties = {'INFERENCE_PRECISION_HINT': 'f32', 'KV_CACHE_PRECISION': 'f32'}\n"
        "scheduler = openvino_genai.SchedulerConfig()\nscheduler.num_kv_blocks = 20\n"
        "pipeline = openvino_genai.ContinuousBatchingPipeline(sys.argv[1], scheduler, 'CPU', properties)\n"
        "config = openvino_genai.GenerationConfig()\nconfig.max_new_tokens = int(sys.argv[2])\n"
        "ids = tokenizer.encode('Once upon a time').ids\n"
        "prompt = openvino.Tensor(numpy.array([ids], dtype=numpy.int64))\n"
        "answer = pipeline.generate([prompt], [config])[0].m_generation_ids[0]\n"
        "print(tokenizer.decode(ids + list(answer)))"
    )
    command = [sys.executable, "-c", code, str(folder), str(tokens)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    return output.split(".")[0].strip() + "."
