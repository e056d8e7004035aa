"""Where the benchmarks keep what they make; all of it can be deleted."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache" / "bench"
ENVIRONMENTS = ROOT / ".cache" / "envs"


def torch_python() -> Path | None:
    """The interpreter of the torch engine environment; None where it has not been made."""
    home = Path(os.environ.get("SAKER_ENGINES_HOME", ROOT / ".cache" / "engines"))
    python = home / "torch" / "bin" / "python"
    return python if python.exists() else None
