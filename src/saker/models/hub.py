"""Lists the files of a Hugging Face hub repository, and fetches one so that an interrupted transfer goes on later.

huggingface_hub resumes only within one process (2.4 deletes what is incomplete), so its requests are used, and not its
cache. Each file is checked against the hash that the hub states before it gets its name.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from saker.core.errors import InvalidInput, Unavailable
from saker.models.files import is_safe_name
from saker.models.folders import sync_file
from saker.models.hub_errors import translated

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a repository."""

    name: str
    size: int
    sha256: str
    """Of its content; empty for small files, for which the hub states only the git hash."""
    git_sha1: str

    @property
    def identity(self) -> str:
        """Changes with the content."""
        return self.sha256 or self.git_sha1


class Hub:
    """One repository at one revision, seen through huggingface_hub."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        from huggingface_hub import HfApi  # heavy: this process only

        self.id: str = request["id"]
        self._token: str | None = request["token"] or None
        self._endpoint: str = request["endpoint"]
        self.asked_revision: str = request["revision"]
        self._api = HfApi(endpoint=self._endpoint, token=self._token)
        self.commit = ""

    def list_files(self) -> dict[str, RemoteFile]:
        """All files, by name; learns the commit."""
        with translated(self):
            info = self._api.model_info(self.id, revision=self.asked_revision or None, files_metadata=True)
        self.commit = info.sha or self.asked_revision
        files = [
            RemoteFile(s.rfilename, s.size or 0, s.lfs.sha256 if s.lfs else "", s.blob_id or "")
            for s in info.siblings or []
        ]
        return {file.name: file for file in files if is_safe_name(file.name)}

    def read_json(self, file: RemoteFile, folder: Path) -> dict[str, Any]:
        """A small JSON file of the repository."""
        self.fetch(file, folder, lambda done: None)
        try:
            content = json.loads((folder / file.name).read_bytes())
        except ValueError as error:
            raise InvalidInput(f"{file.name!r} of {self.id!r} is not valid JSON.", why=f"{error}.") from None
        return content if isinstance(content, dict) else {}

    def fetch(self, file: RemoteFile, folder: Path, on_bytes: Callable[[int], None]) -> None:
        """Download one file into the folder, going on from what is there already.

        Raises:
            Unavailable: The connection broke for good, or the bytes are not those that the hub announced.
        """
        target = folder / file.name
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        for attempt in (1, 2):
            self._download(file, part, on_bytes)
            if _is_intact(part, file):
                sync_file(part)
                part.replace(target)
                return
            part.unlink()  # a part from elsewhere, or bytes that changed on the way: once more, from the start
            if attempt == 2:
                raise Unavailable(
                    f"{file.name!r} of {self.id!r} arrived damaged.",
                    why="Its hash is not the one that the hub states, twice in a row.",
                    fix="Try again; a proxy that changes files would do this.",
                )

    def _download(self, file: RemoteFile, part: Path, on_bytes: Callable[[int], None]) -> None:
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import get_hf_file_metadata, http_get
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # re-exported unsaid

        url = hf_hub_url(self.id, file.name, revision=self.commit, endpoint=self._endpoint)
        with translated(self), _Reporting(part, on_bytes) as out:
            if out.tell() > file.size:
                out.truncate(0)
            if out.tell() == file.size:
                return
            location = get_hf_file_metadata(url, token=self._token, endpoint=self._endpoint).location
            headers = build_hf_headers(token=self._token)
            if urlsplit(location).netloc != urlsplit(url).netloc:
                headers.pop("authorization", None)  # the token is for the hub and not for its storage
            http_get(location, out, resume_size=out.tell(), headers=headers, expected_size=file.size)


class _Reporting(io.BufferedRandom):
    """A file open at its end that tells its length after each write."""

    def __init__(self, path: Path, on_bytes: Callable[[int], None]) -> None:
        super().__init__(io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+"))
        self.seek(0, io.SEEK_END)
        self._on_bytes = on_bytes

    def write(self, data: Any, /) -> int:
        written = super().write(data)
        self._on_bytes(self.tell())
        return written

    def truncate(self, size: int | None = None, /) -> int:
        size = super().truncate(size)
        self.seek(size)
        return size


def _is_intact(path: Path, file: RemoteFile) -> bool:
    if path.stat().st_size != file.size:
        return False
    if file.sha256:
        return file.sha256 == _digest(path, hashlib.sha256())
    if file.git_sha1:
        # Source: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
        return file.git_sha1 == _digest(path, hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False))
    return True


def _digest(path: Path, hasher: Any) -> str:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            hasher.update(block)
    return str(hasher.hexdigest())
