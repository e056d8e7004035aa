"""Makes one engine environment, in a helper process: virtual environment, pip, a trial import, and last the marker."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any

from saker.core.errors import Unavailable, Unsupported
from saker.models.helper import Report, serve

_VERSIONS = """
import importlib.metadata, json, sys
print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))
"""


def install(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Make the environment; returns the installed versions."""
    path = Path(request["path"])
    if importlib.util.find_spec("ensurepip") is None:
        raise Unsupported(
            f"The Python {sys.executable!r} cannot make virtual environments.",
            why="Its module ensurepip is missing, as Debian and Ubuntu package it apart.",
            fix="Run `apt install python3-venv`, or use a Python from python.org or uv.",
        )
    _make_venv(path, report)
    python = str(path / "bin" / "python")
    _pip(python, ["install", *request["pip_args"], *request["requirements"]], report)
    _remove_broken_torchvision(python)
    _try_imports(python, request["imports"], report)
    names = [re.split(r"[<>=!~\[ ]", requirement)[0] for requirement in request["requirements"]]
    versions = json.loads(_output([python, "-c", _VERSIONS, *names]))
    _write_marker(path / request["marker"], {"requirements": request["hash"], "versions": versions})
    return {"versions": versions}


def _make_venv(path: Path, report: Report) -> None:
    report("install", "Making the virtual environment")
    if path.is_symlink():
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)
    _output([sys.executable, "-m", "venv", str(path)])


def _pip(python: str, arguments: list[str], report: Report) -> None:
    command = [python, "-m", "pip", "--no-input", "--disable-pip-version-check", *arguments, "--progress-bar", "off"]
    last: deque[str] = deque(maxlen=8)
    pip = subprocess.Popen(  # noqa: S603  # the arguments are the administrator's own
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    with pip:
        assert pip.stdout is not None
        collected = 0
        for line in pip.stdout:
            sys.stderr.write(line)
            last.append(line.strip())
            collected += line.startswith("Collecting ")
            message = _progress_message(line)
            if message:
                report("install", message, done=collected, unit="files")
    if pip.returncode != 0:
        errors = [line for line in last if line.startswith("ERROR")] or list(last)
        raise Unavailable(
            "pip could not install the engine environment.",
            why=" ".join(errors)[-600:],
            fix="Check the network; another index or a proxy is set with SAKER_PIP_ARGS, as in "
            "SAKER_PIP_ARGS='--index-url URL'.",
        )


def _progress_message(line: str) -> str:
    """What a line of pip's output tells people, or ""."""
    match = re.match(r"\s*(Collecting|Downloading) (\S+)(.*)", line)
    if match:
        name = match[2].rsplit("/", 1)[-1]
        return f"{match[1]} {name}{match[3] if '(' in match[3] and match[1] == 'Downloading' else ''}".strip()
    return "Unpacking" if line.startswith("Installing collected packages") else ""


def _remove_broken_torchvision(python: str) -> None:
    """optimum-intel asks for torchvision, which Saker does not use.

    One that was built for another torch (CUDA's beside the CPU build) makes every import of transformers fail; absent,
    it does no harm.
    """
    if subprocess.run([python, "-c", "import torchvision"], capture_output=True, check=False).returncode != 0:  # noqa: S603  # our own argument list
        _output([python, "-m", "pip", "--no-input", "uninstall", "--yes", "torchvision"])


def _try_imports(python: str, modules: list[str], report: Report) -> None:
    report("install", "Trying the environment")
    result = subprocess.run([python, "-c", f"import {', '.join(modules)}"], capture_output=True, text=True, check=False)  # noqa: S603  # our own argument list
    if result.returncode != 0:
        sys.stderr.write(result.stderr)
        raise Unavailable(
            "The engine environment was installed but does not work.",
            why=result.stderr.strip().rpartition("\n")[2][-400:],
            fix="Install again; if it stays so, report it with the log.",
        )


def _output(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own argument list
    if result.returncode != 0:
        sys.stderr.write(result.stdout + result.stderr)
        raise Unavailable(f"{' '.join(command[:4])!r} failed.", why=(result.stderr or result.stdout).strip()[-400:])
    return result.stdout


def _write_marker(path: Path, content: dict[str, Any]) -> None:
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


if __name__ == "__main__":
    serve(install)
