"""Our CPU engine `paged` beside OpenVINO GenAI (`genai`): both behind one interface, in one process, taking turns."""

from __future__ import annotations

import subprocess
import sys

import msgspec

from bench.paged.plan import PLANS, SMALL
from bench.paths import CACHE, ROOT
from bench.report import Figure, Part

__all__ = ["PLANS", "SMALL", "measure"]


def measure(model: str, *, is_quick: bool) -> Part:
    """The model's part, measured in a process of its own: one that dies takes no other's figures along."""
    result = CACHE / f"paged-{model}.json"
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", "bench.paged", model, str(result), *(["--quick"] if is_quick else [])]
    done = subprocess.run(command, cwd=ROOT)
    part = msgspec.json.decode(result.read_bytes(), type=Part) if result.exists() else Part(f"paged {model}")
    if done.returncode:
        part.notes.append(f"The process that measured ended early, with status {done.returncode}.")
        part.figures.append(Figure("processes that ended early", 1, "", "lower", target=0))
    return part
