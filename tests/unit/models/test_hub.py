"""Downloads from a hub on loopback, each in its own process, as in life."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from saker.core.errors import PermissionDenied, SakerError, Unavailable, Unsupported
from saker.models.base import Preparation, PreparedModel, Progress
from saker.models.source import ModelSource
from saker.models.store import ModelStore
from saker.settings import Secret
from support.checkpoints import checkpoint_files, gguf_bytes, safetensors_bytes
from support.hub_server import COMMIT, FakeHub, Repository

WEIGHTS = checkpoint_files()["model.safetensors"]
MIB = 1 << 20


def large_files() -> dict[str, bytes]:
    """A model of 16 MiB: huggingface_hub writes 10 MiB at a time, and only what is written can be resumed."""
    return checkpoint_files() | {"model.safetensors": safetensors_bytes({"w": (4, MIB)})}


def request(hub: FakeHub, source: str = "hf://ada/model", **options: Any) -> Preparation:
    return Preparation(ModelSource.parse(source), **({"engine": "transformers", "hub_endpoint": hub.url} | options))


async def prepare(store: ModelStore, hub: FakeHub, source: str = "hf://ada/model", **options: Any) -> PreparedModel:
    return await store.prepare(request(hub, source, **options), lambda p: None)


def ranges(hub: FakeHub) -> list[str]:
    """The Range headers of the requests for weights."""
    return [r for method, path, r in hub.requests if method == "GET" and path.startswith("/storage/")]


def in_the_folder(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "downloads").iterdir() if path.is_dir())


async def test_a_model_is_fetched_whole_and_nothing_else(store: ModelStore, hub: FakeHub, home: Path) -> None:
    prepared = await prepare(store, hub)

    assert set(checkpoint_files()) == {path.name for path in prepared.path.iterdir()}
    assert WEIGHTS == (prepared.path / "model.safetensors").read_bytes()
    assert COMMIT == prepared.revision
    assert [prepared.path.name] == in_the_folder(home)


async def test_progress_counts_bytes_up_to_the_total(store: ModelStore, hub: FakeHub) -> None:
    heard: list[Progress] = []
    await store.prepare(request(hub), heard.append)
    downloads = [p for p in heard if p.phase == "download"]

    assert sum(map(len, checkpoint_files().values())) == downloads[-1].total == downloads[-1].done
    assert sorted(p.done for p in downloads) == [p.done for p in downloads]


async def test_the_second_time_the_hub_is_not_asked(store: ModelStore, hub: FakeHub) -> None:
    first = await prepare(store, hub)
    hub.requests.clear()

    assert first == await prepare(store, hub)
    assert [] == hub.requests


async def test_refresh_asks_whether_the_branch_moved(store: ModelStore, hub: FakeHub) -> None:
    await prepare(store, hub)
    hub.repositories["ada/model"].commit = "f" * 40
    prepared = await prepare(store, hub, refresh=True)

    assert "f" * 40 == prepared.revision
    assert 1 == len(ranges(hub))  # the content is the same, so the weights are not fetched again


async def test_a_cut_connection_is_resumed(store: ModelStore, hub: FakeHub) -> None:
    hub.repositories["ada/large"] = Repository(large_files())
    hub.cut_after = 12 * MIB
    prepared = await prepare(store, hub, "ada/large")

    assert large_files()["model.safetensors"] == (prepared.path / "model.safetensors").read_bytes()
    assert ["", f"bytes={10 * MIB}-"] == ranges(hub)


async def test_a_cancelled_download_goes_on_where_it_stopped(store: ModelStore, hub: FakeHub, home: Path) -> None:
    hub.repositories["ada/large"] = Repository(large_files())
    hub.hold_after = 12 * MIB
    task = asyncio.create_task(prepare(store, hub, "ada/large"))
    await asyncio.to_thread(wait_for_first_write, home)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    prepared = await prepare(store, hub, "ada/large")

    assert f"bytes={10 * MIB}-" == ranges(hub)[-1]
    assert large_files()["model.safetensors"] == (prepared.path / "model.safetensors").read_bytes()


async def test_kill_9_in_the_middle_leaves_nothing_half(store: ModelStore, hub: FakeHub, home: Path) -> None:
    """The platform's process is killed; its download ends with it, and the next platform goes on."""
    hub.repositories["ada/large"] = Repository(large_files())
    hub.hold_after = 12 * MIB
    code = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from saker.models.base import Preparation\nfrom saker.models.environments import EngineEnvironments\n"
        "from saker.models.source import ModelSource\nfrom saker.models.store import ModelStore\n"
        "store = ModelStore(Path(sys.argv[1]), EngineEnvironments(Path(sys.argv[1]) / 'engines'))\n"
        "request = Preparation(ModelSource.parse('ada/large'), engine='transformers', hub_endpoint=sys.argv[2])\n"
        "async def main(): await store.prepare(request, lambda p: None)\nasyncio.run(main())"
    )
    platform = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(home), hub.url)
    await asyncio.to_thread(wait_for_first_write, home)
    platform.kill()
    await platform.wait()

    assert [f"ada--large-{COMMIT[:12]}.partial"] == in_the_folder(home)
    prepared = await prepare(store, hub, "ada/large")
    assert f"bytes={10 * MIB}-" == ranges(hub)[-1]
    assert large_files()["model.safetensors"] == (prepared.path / "model.safetensors").read_bytes()
    assert [prepared.path.name] == in_the_folder(home)


async def test_equal_requests_at_once_download_once(store: ModelStore, hub: FakeHub) -> None:
    first, second = await asyncio.gather(prepare(store, hub), prepare(store, hub))

    assert first == second
    assert 1 == len(ranges(hub))


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
async def test_damaged_bytes_are_never_taken(store: ModelStore, hub: FakeHub, home: Path, file: str) -> None:
    hub.corrupt = file
    with pytest.raises(Unavailable, match=f"'{file}' of 'ada/model' arrived damaged"):
        await prepare(store, hub)

    assert not any(path.name == file for path in home.rglob("*"))


async def test_the_token_goes_to_the_hub_and_not_to_its_storage(store: ModelStore, hub: FakeHub) -> None:
    hub.repositories["ada/model"].gated_for = "hf_right"
    await prepare(store, hub, hub_token=Secret("hf_right"))
    seen = {(path.startswith("/storage/"), token) for path, token in hub.tokens}

    assert {(False, "Bearer hf_right"), (True, "")} == seen


async def test_the_token_of_the_environment_counts(
    store: ModelStore, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repositories["ada/model"].gated_for = "hf_right"
    monkeypatch.setenv("HF_TOKEN", "hf_right")

    assert COMMIT == (await prepare(store, hub)).revision


@pytest.mark.parametrize("token", ["", "hf_wrong"])
async def test_a_gated_model_says_how_to_get_in(store: ModelStore, hub: FakeHub, token: str) -> None:
    hub.repositories["ada/model"].gated_for = "hf_right"
    with pytest.raises(PermissionDenied, match=r"gated.*HF_TOKEN") as caught:
        await prepare(store, hub, hub_token=Secret(token))

    assert "hf_" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("hf://ada/modell", "The hub has no model 'ada/modell'"),
        ("hf://ada/model@v9", "has no revision 'v9'"),
        ("hf://ada/model/m.gguf", "holds no GGUF files"),
    ],
)
async def test_what_the_hub_does_not_have_is_named(store: ModelStore, hub: FakeHub, source: str, says: str) -> None:
    with pytest.raises(SakerError, match=says):
        await prepare(store, hub, source)


async def test_no_network_names_the_ways_out(store: ModelStore, hub: FakeHub) -> None:
    with pytest.raises(Unavailable, match=r"could not be reached.*HF_ENDPOINT"):
        await prepare(store, hub, hub_endpoint="http://127.0.0.1:9")


async def test_offline_mode_is_honoured_and_named(
    store: ModelStore, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(Unavailable, match="HF_HUB_OFFLINE is set"):
        await prepare(store, hub)

    assert [] == hub.requests


async def test_what_would_be_refused_later_is_not_downloaded(store: ModelStore, hub: FakeHub) -> None:
    config = {"quantization_config": {"quant_method": "awq"}}
    hub.repositories["ada/awq"] = Repository(checkpoint_files(**config))
    with pytest.raises(Unsupported, match="AWQ"):
        await prepare(store, hub, "ada/awq")

    assert [] == ranges(hub)


async def test_names_that_lead_out_of_the_folder_are_not_fetched(store: ModelStore, hub: FakeHub, home: Path) -> None:
    hub.repositories["ada/evil"] = Repository(
        checkpoint_files() | {"../tokenizer.evil.json": b"{}", "a/../b.json": b"{}"}
    )
    prepared = await prepare(store, hub, "ada/evil")

    assert set(checkpoint_files()) == {path.name for path in prepared.path.iterdir()}
    assert not list(home.rglob("*evil.json"))


async def test_a_gguf_repository_becomes_a_folder_for_the_engine(store: ModelStore, hub: FakeHub) -> None:
    hub.repositories["ada/gguf"] = Repository({"m-Q8_0.gguf": gguf_bytes(), "m-Q4_0.gguf": gguf_bytes()})
    prepared = await prepare(store, hub, "ada/gguf", engine="auto")

    assert ("genai", "gguf", "model.gguf") == (prepared.engine, prepared.format, prepared.path.name)
    assert [2] == json.loads((prepared.path.parent / "generation_config.json").read_text())["eos_token_id"]
    assert "'m-Q8_0.gguf' was taken" in prepared.notes[0]


async def test_openvino_ir_of_a_repository_is_used_as_it_is(store: ModelStore, hub: FakeHub) -> None:
    ir = {"openvino_model.xml": b"<net/>", "openvino_model.bin": bytes(2000)}
    hub.repositories["ada/ir"] = Repository(checkpoint_files() | ir)
    prepared = await prepare(store, hub, "ada/ir", engine="auto")

    assert ("paged", "openvino", 2000) == (prepared.engine, prepared.format, prepared.memory.weights_bytes)
    assert not (prepared.path / "model.safetensors").exists()


def wait_for_first_write(home: Path) -> None:
    """Until a part of the weights lies on the disk."""
    deadline = time.monotonic() + 30
    while not any(path.stat().st_size >= 10 * MIB for path in home.rglob("model.safetensors.part")):
        assert time.monotonic() < deadline, "Nothing was written."
        time.sleep(0.01)
