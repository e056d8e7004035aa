"""A hub, and a store that downloads from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from saker.models.environments import EngineEnvironments
from saker.models.store import ModelStore
from support.checkpoints import checkpoint_files
from support.hub_server import FakeHub, Repository, serve_hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    """A hub with one model, 'ada/model'; nothing of the machine's own hub settings counts."""
    for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with serve_hub() as server:
        server.repositories["ada/model"] = Repository(
            checkpoint_files() | {"README.md": b"x", "pytorch_model.bin": b"x"}
        )
        yield server


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The store's folder."""
    return tmp_path / "models"


@pytest.fixture
def store(home: Path, tmp_path: Path) -> ModelStore:
    """A store without conversion environment."""
    return ModelStore(home, EngineEnvironments(tmp_path / "engines"))
