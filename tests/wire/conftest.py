"""A deployed endpoint and clients for it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from support.live import LivePlatform, deploy, write_fake_model

_numbers = itertools.count()


@pytest.fixture(scope="session")
def sagemaker(live: LivePlatform) -> Any:
    """SageMaker's control plane, by botocore."""
    return live.client("sagemaker")


@pytest.fixture(scope="session")
def runtime(live: LivePlatform) -> Any:
    """SageMaker's runtime, by botocore."""
    return live.client("sagemaker-runtime")


@pytest.fixture(scope="session")
def fake_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model for the fake engine that obeys commands in prompts."""
    return write_fake_model(tmp_path_factory.mktemp("fake"), commands=True)


@pytest.fixture(scope="session")
def endpoint(sagemaker: Any, fake_model: Path) -> str:
    """The name of an endpoint in service."""
    deploy(sagemaker, "parrot", fake_model)
    return "parrot"


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"thing-{next(_numbers)}"
