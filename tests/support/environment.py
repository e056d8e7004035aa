"""Where tests find what is not in the repository; they skip with a reason where it is absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def data(name: str) -> Path:
    """A folder of the test data: `$SAKER_TEST_DATA`, or `shared/data` beside the repository. Skips where absent."""
    home = Path(os.environ.get("SAKER_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not (home / name).is_dir():
        pytest.skip(f"The test data {name!r} is not in {home} (SAKER_TEST_DATA).")
    return home / name


def torch_python() -> str:
    """The interpreter of the torch engine environment. Skips where it has not been made."""
    home = Path(os.environ.get("SAKER_ENGINES_HOME", ROOT / ".cache" / "engines"))
    python = home / "torch" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"There is no torch engine environment in {home} (SAKER_ENGINES_HOME).")
    return str(python)
