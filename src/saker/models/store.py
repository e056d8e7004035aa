"""From a model source to a folder that an engine can load: the order of the steps, and the cache around them.

Everything lies under one folder:
  downloads/   models as a hub holds them, one folder for each content; `.partial` ones are unfinished
  converted/   models in OpenVINO IR, one folder for each content, format and version of the converters
  gguf/        folders around GGUF files
  records/     what led to what, so that a second request is instant and needs no network
  logs/        what the helper processes wrote
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from saker.models.base import Preparation, PreparedModel, Progress, ProgressCallback
from saker.models.check import Checkpoint, check_path, inspect
from saker.models.convert import ENVIRONMENT, Conversion, available_memory
from saker.models.environments import EngineEnvironments
from saker.models.files import list_files, total_bytes
from saker.models.fingerprint import hash_in_thread
from saker.models.flights import SingleFlight
from saker.models.folders import publish, remove_leftovers, work_folder
from saker.models.gguf_folder import MODEL as GGUF_MODEL
from saker.models.gguf_folder import write_gguf_folder
from saker.models.memory import estimate
from saker.models.plan import Plan, choose_plan
from saker.models.process import HelperProcess, public_environment
from saker.models.records import Records, from_json, record_key, state_of, to_json

EMBEDDED = Path(__file__).parent / "embedded"
_HUB_VARIABLES = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


@dataclass(frozen=True)
class Limits:
    """How much a store does at once, and for how long."""

    downloads: int = 2
    conversions: int = 1
    download_timeout_s: float = 12 * 3600.0
    conversion_timeout_s: float = 2 * 3600.0


@dataclass(frozen=True)
class _Fetched:
    """A source, on this machine."""

    path: Path
    content_hash: str = ""
    """Empty where it has to be computed."""
    revision: str = ""
    notes: tuple[str, ...] = ()


class ModelStore:
    """Prepares models, and keeps what it prepared. One process at a time should own the folder."""

    def __init__(
        self,
        home: Path,
        environments: EngineEnvironments,
        limits: Limits | None = None,
        *,
        available_bytes: Callable[[], int] = available_memory,
    ) -> None:
        """
        Args:
            home: The folder that it keeps everything under. Leftovers of killed processes are removed from it.
            environments: Where conversions run.
            limits: None takes the defaults.
            available_bytes: Tells the memory that a conversion may use.
        """
        self._home = home = home.absolute()
        self._environments = environments
        self._limits = limits or Limits()
        self._available_bytes = available_bytes
        self._records = Records(home / "records")
        self._preparing: SingleFlight[PreparedModel] = SingleFlight()
        self._converting: SingleFlight[Path] = SingleFlight()
        self._download_slots = asyncio.Semaphore(self._limits.downloads)
        self._conversion_slots = asyncio.Semaphore(self._limits.conversions)
        for folder in ("downloads", "converted", "gguf"):
            remove_leftovers(home / folder)

    async def prepare(self, request: Preparation, progress: ProgressCallback) -> PreparedModel:
        """The model, ready to load; see `ModelPreparer`."""
        return await self._preparing.run(_key(request), partial(self._prepare, request), progress)

    async def _prepare(self, request: Preparation, progress: ProgressCallback) -> PreparedModel:
        key = _key(request)
        known = None if request.refresh else await asyncio.to_thread(self._find, key)
        if known is not None:
            return known
        progress(Progress("resolve", str(request.source)))
        fetched = await self._fetch(request, progress)
        before = await asyncio.to_thread(state_of, fetched.path)
        progress(Progress("check", fetched.path.name))
        checkpoint = await asyncio.to_thread(
            inspect, fetched.path, request.engine, trust_remote_code=request.trust_remote_code
        )
        plan = choose_plan(checkpoint, request)
        prepared = await self._make(request, fetched, checkpoint, plan, progress)
        await asyncio.to_thread(self._keep, key, fetched.path, before, prepared)
        return prepared

    async def _make(
        self, request: Preparation, fetched: _Fetched, checkpoint: Checkpoint, plan: Plan, progress: ProgressCallback
    ) -> PreparedModel:
        content = fetched.content_hash or await hash_in_thread(checkpoint.folder, checkpoint.files, progress)
        path = checkpoint.path
        if plan.convert:
            path = await self._convert(request, checkpoint, content, progress)
        elif checkpoint.format == "gguf":
            path = await asyncio.to_thread(self._lay_out_gguf, checkpoint, content)
        return await asyncio.to_thread(_describe, path, checkpoint, plan, fetched, content)

    async def _fetch(self, request: Preparation, progress: ProgressCallback) -> _Fetched:
        source = request.source
        if source.kind == "embedded":
            return _Fetched(EMBEDDED)
        if source.kind == "hub":
            return await self._download(request, progress)
        path = Path(source.location)
        await asyncio.to_thread(check_path, path)
        return _Fetched(path)

    async def _download(self, request: Preparation, progress: ProgressCallback) -> _Fetched:
        known = None if request.refresh else await asyncio.to_thread(self._find_download, request)
        if known is None:
            async with self._download_slots:
                result = await self._downloader(request).run(progress)
            folder = Path(result["folder"])
            path = folder / result["files"][0] if result["format"] == "gguf" else folder
            known = {name: result[name] for name in ("content_hash", "commit", "notes")} | {"path": str(path)}
            await asyncio.to_thread(self._records.keep, _download_key(request, result["format"]), known)
        return _Fetched(Path(known["path"]), known["content_hash"], known["commit"], tuple(known["notes"]))

    def _find_download(self, request: Preparation) -> dict[str, Any] | None:
        for format in ("safetensors", "gguf"):
            record = self._records.find(_download_key(request, format))
            if record is not None and Path(record["path"]).exists():
                return record
        return None

    def _downloader(self, request: Preparation) -> HelperProcess:
        source = request.source
        return HelperProcess(
            what=f"The download of {str(source)!r}",
            python=Path(sys.executable),
            module="saker.models.download",
            request={
                "id": source.location,
                "revision": source.revision,
                "file": source.file,
                "endpoint": request.hub_endpoint,
                "token": request.hub_token.reveal(),
                "engine": request.engine,
                "weight_format": request.weight_format,
                "trust_remote_code": request.trust_remote_code,
                "folder": str(self._home / "downloads"),
            },
            log=self._home / "logs" / f"download-{source.location.replace('/', '--')}.log",
            timeout_s=self._limits.download_timeout_s,
            environment=public_environment(_HUB_VARIABLES),
        )

    async def _convert(
        self, request: Preparation, checkpoint: Checkpoint, content: str, progress: ProgressCallback
    ) -> Path:
        await self._environments.ensure(ENVIRONMENT, progress)
        conversion = Conversion(checkpoint, content, request.weight_format, request.trust_remote_code)
        folder = self._home / "converted" / conversion.key(self._environments)[:32]

        async def work(report: ProgressCallback) -> Path:
            if folder.is_dir():
                return folder
            if self._conversion_slots.locked():
                report(Progress("convert", "Waiting for another conversion to end"))
            async with self._conversion_slots:
                await conversion.run(
                    folder,
                    self._home / "logs",
                    self._environments,
                    report,
                    timeout_s=self._limits.conversion_timeout_s,
                    available_bytes=self._available_bytes,
                )
            return folder

        return await self._converting.run(folder.name, work, progress)

    def _lay_out_gguf(self, checkpoint: Checkpoint, content: str) -> Path:
        assert checkpoint.gguf is not None
        folder = self._home / "gguf" / record_key(content, checkpoint.path.resolve())
        if not folder.is_dir():
            with work_folder(folder.parent) as work:
                write_gguf_folder(checkpoint.path, checkpoint.gguf, work)
                publish(work, folder)
        return folder / GGUF_MODEL

    def _find(self, key: str) -> PreparedModel | None:
        """What was prepared before, if its source and its result are as they were."""
        record = self._records.find(key)
        if record is None:
            return None
        for which in ("source", "result"):
            if state_of(Path(record[which])) != record[f"{which}_state"]:
                return None
        current = self._converters()
        if record["converters"] and current and record["converters"] != current:
            return None
        return from_json(record["prepared"])

    def _keep(self, key: str, source: Path, source_state: str | None, prepared: PreparedModel) -> None:
        was_converted = prepared.path.is_relative_to(self._home / "converted")
        record = {
            "source": str(source),
            "source_state": source_state,
            "result": str(prepared.path),
            "result_state": state_of(prepared.path),
            "converters": self._converters() if was_converted else None,
            "prepared": to_json(prepared),
        }
        self._records.keep(key, record)

    def _converters(self) -> list[str] | None:
        """The versions that convert at present; None without a conversion environment, whose absence spoils nothing."""
        status = self._environments.status(ENVIRONMENT)
        return [f"{name}=={version}" for name, version in sorted(status.versions.items())] or None


def _key(request: Preparation) -> str:
    endpoint = request.hub_endpoint if request.source.kind == "hub" else ""
    return record_key(request.source, request.engine, request.weight_format, request.trust_remote_code, endpoint)


def _download_key(request: Preparation, format: str) -> str:
    """Only among GGUF files does the weight format choose what is fetched."""
    weight_format = request.weight_format if format == "gguf" else ""
    parts = (request.source, request.engine, request.trust_remote_code, request.hub_endpoint)
    return record_key("download", *parts, weight_format)


def _describe(path: Path, checkpoint: Checkpoint, plan: Plan, fetched: _Fetched, content: str) -> PreparedModel:
    bytes_on_disk, weights_bytes = checkpoint.bytes_on_disk, checkpoint.weights_bytes
    if plan.convert:
        files = list_files(path)
        bytes_on_disk, weights_bytes = total_bytes(files), files["openvino_model.bin"]
    return PreparedModel(
        path=path,
        engine=plan.engine,
        format="openvino" if plan.convert else checkpoint.format,
        content_hash=content,
        bytes_on_disk=bytes_on_disk,
        memory=estimate(plan.engine, weights_bytes, checkpoint.config, checkpoint.gguf),
        revision=fetched.revision,
        notes=(*fetched.notes, *plan.notes),
    )
