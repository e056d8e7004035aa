"""A platform started as people start it, for clients that know nothing of Saker.

These tests run in an environment of their own, without Saker in it: `make test-clients`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.shell import Shell

REPOSITORY = Path(__file__).parent.parent.parent
SAKER = str(REPOSITORY / ".venv" / "bin" / "saker")


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def platform_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a shell in which `eval "$(saker env)"` was typed, beside a running platform."""
    home = tmp_path_factory.mktemp("home")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "OPENAI_", "SAKER_"))}
    environment = clean | {"SAKER_HOME": str(home), "SAKER_PORT": str(free_port()), "HOME": str(home)}
    subprocess.run([SAKER, "up", "--detach"], env=environment, check=True, timeout=60)
    try:
        script = subprocess.run([SAKER, "env"], env=environment, check=True, capture_output=True, text=True, timeout=30)
        script_line = f"{script.stdout}\nexec env -0"
        done = subprocess.run(["sh", "-c", script_line], env=environment, check=True, capture_output=True, text=True)
        exported = dict(line.split("=", 1) for line in done.stdout.split("\0") if "=" in line)
        path = f"{Path(sys.executable).parent}{os.pathsep}{exported['PATH']}"
        waited = [SAKER, "endpoints", "wait", "demo"]
        subprocess.run(waited, env=environment, check=True, timeout=60)
        yield exported | {"PATH": path}
    finally:
        subprocess.run([SAKER, "down"], env=environment, check=True, timeout=60)


@pytest.fixture
def shell(platform_environment: dict[str, str], tmp_path: Path) -> Shell:
    """Runs commands as typed."""
    return Shell(platform_environment, tmp_path)


@pytest.fixture
def client_environment(platform_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The same environment in this process, for clients that are Python libraries."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "OPENAI_")):
            monkeypatch.delenv(name)
    for name, value in platform_environment.items():
        monkeypatch.setenv(name, value)
    return platform_environment
