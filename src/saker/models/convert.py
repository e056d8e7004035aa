"""Plans and supervises a conversion to OpenVINO IR: room, time limit, and a result that is complete or absent."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from saker.core.errors import Internal, Unavailable
from saker.models.base import ProgressCallback, WeightFormat
from saker.models.check import Checkpoint
from saker.models.environments import EngineEnvironments
from saker.models.files import list_files
from saker.models.folders import publish, work_folder
from saker.models.layout import missing_openvino_files
from saker.models.memory import conversion_bytes, converted_weights_bytes
from saker.models.process import HelperProcess

RECIPE = 1
"""Raised when this room converts differently, so that models converted before are converted again."""

ENVIRONMENT = "torch"
DISK_MARGIN_BYTES = 256 * 1024**2
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class Conversion:
    """One model, to be converted once."""

    checkpoint: Checkpoint
    content_hash: str
    weight_format: WeightFormat
    trust_remote_code: bool

    def key(self, environments: EngineEnvironments) -> str:
        """Names the result: changes with the model's files, the format, and the versions of the converters.

        Raises:
            Unavailable: The conversion environment is not installed.
        """
        environments.python(ENVIRONMENT)
        versions = sorted(environments.status(ENVIRONMENT).versions.items())
        parts = [RECIPE, self.content_hash, self.weight_format, self.trust_remote_code, versions]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    async def run(
        self,
        folder: Path,
        logs: Path,
        environments: EngineEnvironments,
        progress: ProgressCallback,
        *,
        timeout_s: float,
        available_bytes: Callable[[], int],
    ) -> None:
        """Make the folder with the converted model.

        Raises:
            Unsupported: The converter does not know the model.
            Unavailable: Not enough memory or disk, or no conversion environment.
            DeadlineExceeded: It took longer than `timeout_s`.
        """
        python = environments.python(ENVIRONMENT)
        self._check_room(folder.parent, available_bytes())
        with work_folder(folder.parent) as work:
            await HelperProcess(
                what=f"The conversion of {self.checkpoint.path.name!r} to {self.weight_format}",
                python=python,
                module="saker.models.conversion",
                request={
                    "source": str(self.checkpoint.path),
                    "output": str(work),
                    "weight_format": self.weight_format,
                    "trust_remote_code": self.trust_remote_code,
                    "config": {k: v for k, v in self.checkpoint.config.items() if type(v) is int},
                },
                log=logs / f"convert-{folder.name}.log",
                timeout_s=timeout_s,
                environment=conversion_environment(environments.python_path()),
            ).run(progress)
            _check_result(work)
            publish(work, folder)

    def _check_room(self, home: Path, available_bytes: int) -> None:
        needed = conversion_bytes(self.checkpoint.weights_bytes, self.checkpoint.parameters)
        if needed > available_bytes:
            raise Unavailable(
                "There is not enough memory to convert the model.",
                why=f"It needs about {needed / 1e9:.1f} GB, and {available_bytes / 1e9:.1f} GB are available.",
                fix="Free memory, or deploy a version that needs no conversion (OpenVINO IR or GGUF).",
            )
        home.mkdir(parents=True, exist_ok=True)
        # the exported model lies beside the compressed one until the end
        parameters = self.checkpoint.parameters
        written = self.checkpoint.weights_bytes + converted_weights_bytes(parameters, self.weight_format)
        free = shutil.disk_usage(home).free
        if written + DISK_MARGIN_BYTES > free:
            raise Unavailable(
                "There is not enough disk space to convert the model.",
                why=f"It needs about {written / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free under {str(home)!r}.",
                fix="Free some space, or move the data folder (SAKER_HOME).",
            )


def conversion_environment(python_path: Path) -> dict[str, str]:
    """The variables of the conversion process: no secrets, since a model's own code may run in it, and no network."""
    kept = {name: value for name, value in os.environ.items() if name in _KEPT_VARIABLES}
    return kept | {
        "PYTHONPATH": str(python_path),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def available_memory() -> int:
    """Bytes that can be taken without swapping. Source: `man 5 proc`, MemAvailable."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _check_result(folder: Path) -> None:
    missing = missing_openvino_files(list_files(folder))
    if missing:
        raise Internal("The conversion wrote an incomplete model.", why=f"Missing or empty: {', '.join(missing)}.")
