"""An environment that steers nothing, so that what a developer has set changes no test."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SAKER_", "AWS_", "OPENAI_", "HF_", "NO_COLOR")):
            monkeypatch.delenv(name)
