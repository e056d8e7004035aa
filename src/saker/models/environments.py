"""Engine environments: virtual environments for libraries too heavy, or too strictly pinned, for the server's own.

An environment is ready when its marker file exists and was written for the same list of requirements. The marker is
written last, so an installation that was cut short is never taken for a finished one; the next one starts anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import saker
from saker.core.errors import Conflict, InvalidInput, NotFound, Unavailable
from saker.core.ids import short_id
from saker.core.suggest import did_you_mean
from saker.models.base import ProgressCallback
from saker.models.flights import SingleFlight
from saker.models.process import HelperProcess, public_environment

INSTALL_TIMEOUT_S = 3600.0
MARKER = "saker-environment.json"

REQUIREMENTS: Mapping[str, tuple[str, ...]] = {
    # Bounds are what was tried together; optimum-intel and openvino change what they accept between minor releases.
    "torch": (
        "torch>=2.13,<2.14",
        "transformers>=5.5,<5.6",
        "optimum-intel>=2.2,<2.3",
        "nncf>=3.4,<3.5",
        "openvino>=2026.4,<2026.5",
        "openvino-tokenizers>=2026.4,<2026.5",
        "safetensors>=0.8,<0.9",
        "tokenizers>=0.22,<0.24",
        "msgspec>=0.20,<0.23",
        "jinja2>=3.1,<4",
    ),
}

IMPORTS: Mapping[str, tuple[str, ...]] = {
    # What must import for the environment to be of use.
    "torch": (
        "torch",
        "transformers",
        "optimum.exporters.openvino",
        "nncf",
        "openvino_tokenizers",
        "msgspec",
        "jinja2",
    ),
}

ENVIRONMENT_OF_ENGINE = {"transformers": "torch"}
"""Engines that are not listed run in the server's own environment."""

EnvironmentState = Literal["ready", "missing", "incomplete", "outdated"]


@dataclass(frozen=True)
class EnvironmentStatus:
    """What is known of one environment without starting it."""

    name: str
    state: EnvironmentState
    """ "incomplete": an installation was cut short; "outdated": made for other requirements than this version's."""
    path: Path
    versions: Mapping[str, str]
    """Installed versions of the packages that were asked for; empty unless ready."""


class EngineEnvironments:
    """All engine environments under one folder."""

    def __init__(
        self, home: Path, *, pip_args: str = "", package: Path | None = None, installs_on_demand: bool = False
    ) -> None:
        """
        Args:
            home: The folder that holds them, one sub-folder each.
            pip_args: Further arguments for pip, as on a command line: another index, a proxy, a constraints file.
            package: The `saker` package that engine processes run; None is the running one.
            installs_on_demand: Whether `ensure` may install; otherwise a person has to.
        """
        self.home = home.absolute()
        self._pip_args = pip_args
        self._installs_on_demand = installs_on_demand
        self._installing: SingleFlight[EnvironmentStatus] = SingleFlight()
        self._package = package or Path(saker.__file__).parent

    @staticmethod
    def names() -> list[str]:
        """The environments that Saker can make."""
        return sorted(REQUIREMENTS)

    def status(self, name: str) -> EnvironmentStatus:
        """Whether the environment can be used.

        Raises:
            NotFound: Saker makes no environment of that name.
        """
        path = self._path(name)
        if not path.is_dir():
            return EnvironmentStatus(name, "missing", path, {})
        try:
            marker = json.loads((path / MARKER).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return EnvironmentStatus(name, "incomplete", path, {})
        if not (path / "bin" / "python").exists():  # the Python that it was made from is gone
            return EnvironmentStatus(name, "incomplete", path, {})
        if marker.get("requirements") != requirements_hash(name):
            return EnvironmentStatus(name, "outdated", path, {})
        return EnvironmentStatus(name, "ready", path, marker.get("versions", {}))

    def python(self, name: str) -> Path:
        """The environment's interpreter.

        Raises:
            NotFound: Saker makes no environment of that name.
            Unavailable: It is not installed, or not for this version of Saker.
        """
        status = self.status(name)
        if status.state != "ready":
            raise Unavailable(
                f"The engine environment {name!r} is not ready.",
                why=f"It is {status.state} ({str(status.path)!r}).",
                fix=f"Run `saker engines install {name}`.",
            )
        return status.path / "bin" / "python"

    def interpreter(self, engine: str) -> tuple[Path, Path | None]:
        """The interpreter for an engine's processes, and the folder to put on its PYTHONPATH (None: nothing to put).

        Raises:
            Unavailable: The engine's environment is not ready.
        """
        name = ENVIRONMENT_OF_ENGINE.get(engine)
        if name is None:
            return Path(sys.executable), None
        return self.python(name), self.python_path()

    def python_path(self) -> Path:
        """A folder that holds nothing but a link to the running `saker` package; makes it when it is absent.

        With it on PYTHONPATH an engine process runs the very code of its gateway, and none of the gateway's libraries.
        """
        # one folder for each package location, so that two installations of Saker can share the environments
        name = hashlib.sha256(str(self._package).encode()).hexdigest()[:12]
        link = self.home / f"path-{name}" / "saker"
        if not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            new = link.with_name(f"saker-{short_id()}")
            new.symlink_to(self._package)
            new.replace(link)
        return link.parent

    async def ensure(self, name: str, progress: ProgressCallback) -> None:
        """Install the environment when it is not ready and that is allowed; later callers join the first one's run.

        Where it is not allowed nothing happens here, and `python` tells what to do.

        Raises:
            Unavailable: pip failed.
            Conflict: A person is installing it at the moment.
        """
        if self._installs_on_demand and self.status(name).state != "ready":
            await self._installing.run(name, partial(self.install, name), progress)

    async def install(self, name: str, progress: ProgressCallback) -> EnvironmentStatus:
        """Make the environment unless it is ready; a half-made or outdated one is made anew.

        Raises:
            NotFound: Saker makes no environment of that name.
            Conflict: Another installation of it is running.
            Unavailable: pip failed; the error holds its last lines and the place of its log.
        """
        path = self._path(name)
        with self._lock(name):
            if self.status(name).state == "ready":
                return self.status(name)
            await HelperProcess(
                what=f"The installation of engine environment {name!r}",
                python=Path(sys.executable),
                module="saker.models.installation",
                request=self._request(name, path),
                log=self.home / "logs" / f"{name}.log",
                timeout_s=INSTALL_TIMEOUT_S,
                environment=public_environment({}),
            ).run(progress)
        return self.status(name)

    def remove(self, name: str) -> None:
        """Delete the environment; nothing happens when there is none.

        Raises:
            NotFound: Saker makes no environment of that name.
            Conflict: It is being installed.
        """
        path = self._path(name)
        with self._lock(name):
            if path.is_symlink():
                path.unlink()
            elif path.exists():
                (path / MARKER).unlink(missing_ok=True)  # from here on it counts as incomplete
                shutil.rmtree(path)

    def _request(self, name: str, path: Path) -> dict[str, object]:
        try:
            pip_args = shlex.split(self._pip_args)
        except ValueError as error:
            raise InvalidInput(f"The setting 'pip_args' cannot be read: {error}.", fix="Close its quotes.") from None
        return {
            "path": str(path),
            "requirements": list(REQUIREMENTS[name]),
            "imports": list(IMPORTS[name]),
            "pip_args": pip_args,
            "marker": MARKER,
            "hash": requirements_hash(name),
        }

    def _path(self, name: str) -> Path:
        if name not in REQUIREMENTS:
            raise NotFound(f"No engine environment is called {name!r}.", fix=did_you_mean(name, REQUIREMENTS))
        return self.home / name

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        self.home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.home / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise Conflict(
                f"The engine environment {name!r} is being changed by another process.",
                fix="Wait for it to end, and try again.",
            ) from None
        finally:
            os.close(descriptor)


def requirements_hash(name: str) -> str:
    """A short text that changes with the environment's list of requirements."""
    return hashlib.sha256("\n".join(REQUIREMENTS[name]).encode()).hexdigest()[:16]
