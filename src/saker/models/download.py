"""Downloads a model from a hub, in a helper process: chooses its files, fetches them, and only then names the folder.

A download goes into a `.partial` folder that outlives an interruption; the next attempt goes on where the last stopped.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saker.core.errors import Unavailable, Unsupported
from saker.models.config import check_config
from saker.models.folders import publish
from saker.models.helper import Report, serve
from saker.models.hub import Hub, RemoteFile
from saker.models.selection import Selection, select_files

FREE_BYTES_MARGIN = 256 * 1024**2
MAX_HTTP_BYTES = 50 * 10**9  # Source: huggingface_hub, constants.MAX_HTTP_DOWNLOAD_SIZE


def fetch_model(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """The model's folder, complete; downloads what is missing."""
    hub = Hub(request)
    home = Path(request["folder"])
    report("resolve", f"Asking the hub for {hub.id}")
    files = hub.list_files()
    with _partial_folder(home / f"{_folder_name(hub.id)}-{hub.commit[:12]}.partial") as partial:
        selection = _select(hub, files, partial, request)
        wanted = [files[name] for name in selection.files]
        content = _content_hash(wanted)
        folder = home / f"{_folder_name(hub.id)}-{content[:16]}"
        if not folder.is_dir():
            _fetch_all(hub, wanted, partial, report)
            _drop_others(partial, set(selection.files))
            publish(partial, folder)
    return {
        "folder": str(folder),
        "format": selection.format,
        "files": list(selection.files),
        "commit": hub.commit,
        "content_hash": content,
        "notes": list(selection.notes),
    }


def _select(hub: Hub, files: Mapping[str, RemoteFile], partial: Path, request: Mapping[str, Any]) -> Selection:
    """Choose what to fetch, and refuse before gigabytes are fetched what would be refused afterwards."""
    config = hub.read_json(files["config.json"], partial) if "config.json" in files else None
    selection = select_files(
        hub.id,
        {name: file.size for name, file in files.items()},
        config,
        engine=request["engine"],
        weight_format=request["weight_format"],
        file=request["file"],
        trust_remote_code=request["trust_remote_code"],
    )
    if selection.format == "safetensors" and config is not None:
        check_config(config, trust_remote_code=request["trust_remote_code"])
    return selection


def _fetch_all(hub: Hub, wanted: list[RemoteFile], partial: Path, report: Report) -> None:
    total = sum(file.size for file in wanted)
    _check_space(wanted, partial, total)
    before = 0
    for file in sorted(wanted, key=lambda f: f.size):
        report("download", file.name, done=before, total=total)
        hub.fetch(file, partial, _reporter(report, file.name, before, total))
        before += file.size
    report("download", "Downloaded", done=total, total=total)


def _reporter(report: Report, name: str, before: int, total: int) -> Callable[[int], None]:
    return lambda done: report("download", name, before + done, total)


def _check_space(wanted: list[RemoteFile], partial: Path, total: int) -> None:
    there = sum(min(_size(partial / f.name) + _size(partial / (f.name + ".part")), f.size) for f in wanted)
    needed, free = total - there + FREE_BYTES_MARGIN, shutil.disk_usage(partial).free
    largest = max(wanted, key=lambda f: f.size)
    if largest.size > MAX_HTTP_BYTES:
        raise Unsupported(
            f"The file {largest.name!r} has {largest.size / 1e9:.0f} GB.",
            why="The hub sends at most 50 GB of one file over HTTP.",
            fix="Fetch the model with `hf download`, and deploy the folder.",
        )
    if needed > free:
        raise Unavailable(
            "There is not enough disk space for the download.",
            why=f"It needs {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free under {str(partial.parent)!r}.",
            fix="Free some space, or move the data folder (SAKER_HOME).",
        )


def _content_hash(files: list[RemoteFile]) -> str:
    lines = sorted(f"{file.name} {file.size} {file.identity}" for file in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _folder_name(hub_id: str) -> str:
    return hub_id.replace("/", "--")


def _drop_others(folder: Path, wanted: set[str]) -> None:
    """Remove what only choosing needed, and the lock, so that the folder holds the model and nothing else."""
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).as_posix() not in wanted:
            path.unlink()


@contextmanager
def _partial_folder(folder: Path) -> Iterator[Path]:
    """The folder of an unfinished download, held by one process at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder.with_name(folder.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder.mkdir(parents=True, exist_ok=True)  # whoever held the lock before may have finished it
        yield folder
        shutil.rmtree(folder, ignore_errors=True)  # finished before under another commit
    finally:
        os.close(lock)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


if __name__ == "__main__":
    serve(fetch_model)
