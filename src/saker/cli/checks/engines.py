"""Do the engines import in their environments?"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from saker.cli.checks.base import Context, Finding
from saker.models.environments import ENVIRONMENT_OF_ENGINE, IMPORTS, EngineEnvironments

IMPORT_TIMEOUT_S = 120.0
"""torch and transformers take long to import from a cold disk."""


def engine_environments(context: Context) -> Iterator[Finding]:
    """Each engine's libraries, imported in a process of their own."""
    yield _server_engine()
    environments = EngineEnvironments(context.settings.engines_folder)
    for name in environments.names():
        engines = ", ".join(engine for engine, home in ENVIRONMENT_OF_ENGINE.items() if home == name)
        yield _environment(environments, name, engines)


def _server_engine() -> Finding:
    if importlib.util.find_spec("openvino_genai") is None:
        fix = f"Run: {sys.executable} -m pip install 'saker-llm[openvino]'"
        return Finding("Engine genai", "fail", "openvino_genai is not installed in Saker's own environment.", fix)
    trouble = _try_imports(Path(sys.executable), ("openvino_genai",))
    if trouble:
        return Finding(
            "Engine genai", "fail", trouble, "Install it again: pip install --force-reinstall openvino-genai"
        )
    return Finding("Engine genai", "ok", "imports in Saker's own environment")


def _environment(environments: EngineEnvironments, name: str, engines: str) -> Finding:
    title = f"Engine {engines or name}"
    status = environments.status(name)
    install = f"saker engines install {name}"
    if status.state == "missing":
        text = f"environment {name!r} is not installed; models that need conversion or this engine cannot be deployed."
        return Finding(title, "warn", text, install)
    if status.state != "ready":
        return Finding(title, "fail", f"environment {name!r} is {status.state}.", install)
    trouble = _try_imports(environments.python(name), IMPORTS[name])
    if trouble:
        return Finding(title, "fail", trouble, f"saker engines remove {name}; {install}")
    return Finding(title, "ok", f"imports in {status.path}")


def _try_imports(interpreter: Path, modules: tuple[str, ...]) -> str:
    """Why the modules do not import there; empty when they do."""
    command = [str(interpreter), "-P", "-c", f"import {', '.join(modules)}"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=IMPORT_TIMEOUT_S, check=False)  # noqa: S603  # our own command
    except subprocess.TimeoutExpired:
        return f"importing took longer than {IMPORT_TIMEOUT_S:.0f} s."
    except OSError as error:
        return f"{interpreter} cannot be run: {error.strerror}."
    return "" if result.returncode == 0 else result.stderr.strip().rpartition("\n")[2][-300:]
