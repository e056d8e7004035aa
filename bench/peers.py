"""The peers, each in an environment of its own: LiteLLM's proxy and Portkey's gateway, before the same backend."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.paths import CACHE, ENVIRONMENTS
from bench.platform_process import post
from bench.processes import Failed, Server, free_port, plain_environment

CHAT = "/v1/chat/completions"
INSTALL_S = 1200

_KEY = "sk-bench-0123456789"
_REQUEST = {"model": "fake", "messages": [{"role": "user", "content": "Hello there"}], "max_tokens": 1}


class Peer(Server):
    """A gateway that forwards OpenAI's chat completions to the backend."""

    headers: dict[str, str]

    def request(self, *, stream: bool = False) -> bytes:
        """One request, as bytes."""
        return post(self.port, CHAT, _REQUEST | {"stream": True} if stream else _REQUEST, **self.headers)


class Backend(Peer):
    """uvicorn alone, with the application that stands behind the peers."""

    def __init__(self) -> None:
        port = free_port()
        options = ["--port", str(port), "--log-level", "critical", "--no-access-log", "--lifespan", "off"]
        command = [sys.executable, "-m", "uvicorn", "bench.backend:app", *options]
        super().__init__(command, port, CACHE / "backend.log", plain_environment())
        self.headers = {}


class LiteLLM(Peer):
    """LiteLLM's proxy: one worker, a master key, no database."""

    def __init__(self, backend_port: int) -> None:
        port = free_port()
        python = python_environment("litellm", "litellm[proxy]")
        config = CACHE / "litellm.yaml"
        config.write_text(json.dumps(self._config(backend_port)))  # JSON is YAML
        command = [str(python.with_name("litellm")), "--config", str(config), "--port", str(port)]
        env = plain_environment() | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
        super().__init__([*command, "--host", "127.0.0.1", "--num_workers", "1"], port, CACHE / "litellm.log", env, 120)
        self.headers = {"authorization": f"Bearer {_KEY}"}

    @staticmethod
    def _config(backend_port: int) -> dict[str, Any]:
        target = {"model": "openai/fake", "api_base": f"http://127.0.0.1:{backend_port}/v1", "api_key": "none"}
        return {
            "model_list": [{"model_name": "fake", "litellm_params": target}],
            "general_settings": {"master_key": _KEY},
            "litellm_settings": {"telemetry": False},
        }


class Portkey(Peer):
    """Portkey's open gateway on Node. It checks no keys of its own: it passes the caller's on."""

    def __init__(self, backend_port: int) -> None:
        port = free_port()
        server = _node_environment("portkey", "@portkey-ai/gateway") / "@portkey-ai/gateway/build/start-server.js"
        command = ["node", str(server), f"--port={port}", "--headless"]
        super().__init__(command, port, CACHE / "portkey.log", plain_environment() | {"NODE_ENV": "production"})
        self.headers = {
            "authorization": f"Bearer {_KEY}",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{backend_port}/v1",
        }


def python_environment(name: str, *requirements: str, without: Sequence[str] = ()) -> Path:
    """The interpreter of an environment that holds the requirements; made when it does not exist.

    Args:
        without: What they bring along and is taken out again.
    """
    folder = ENVIRONMENTS / name
    marker = folder / ".installed"
    if not marker.exists():
        shutil.rmtree(folder, ignore_errors=True)
        _install([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip"]
        _install([*pip, "install", "--quiet", *requirements])
        if without:
            _install([*pip, "uninstall", "--quiet", "--yes", *without])
        marker.touch()
    return folder / "bin" / "python"


def _node_environment(name: str, package: str) -> Path:
    """The folder of modules that holds the package; made when it does not exist."""
    if shutil.which("npm") is None:
        raise Failed("npm is not installed")
    folder = ENVIRONMENTS / name
    marker = folder / ".installed"
    if not marker.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _install(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), package])
        marker.touch()
    return folder / "node_modules"


def _install(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_S)
    except (subprocess.SubprocessError, OSError) as error:
        output = getattr(error, "stderr", None) or b""
        last = output.decode(errors="replace").strip().splitlines()[-1:] or [str(error)]
        raise Failed(f"{' '.join(command[-2:])} cannot be installed: {last[0]}") from error
