"""A small Hugging Face hub on loopback: the requests that a download makes, and the ways in which they fail."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LFS_BYTES = 1000
"""Files of at least so many bytes are served as the hub serves large ones: with a SHA-256, from another address."""


@dataclass
class Repository:
    """One model repository."""

    files: dict[str, bytes]
    commit: str = COMMIT
    gated_for: str = ""
    """The only token that may download; empty lets everyone."""
    revisions: tuple[str, ...] = ("main",)


@dataclass
class FakeHub:
    """The hub's state; tests change it while it runs."""

    url: str
    repositories: dict[str, Repository] = field(default_factory=dict)
    cut_after: int | None = None
    """Close the next download's connection after so many bytes, once."""
    hold_after: int | None = None
    """Send so many bytes of the next download and then nothing, until `release` is set."""
    release: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)
    corrupt: str = ""
    """The name of a file that is sent with a wrong byte."""
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and Range of every request."""
    tokens: list[tuple[str, str]] = field(default_factory=list)
    """Path and Authorization of every request."""


@contextmanager
def serve_hub() -> Iterator[FakeHub]:
    """Run a hub without repositories."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    hub = FakeHub(f"http://127.0.0.1:{server.server_address[1]}")
    server.hub = hub  # type: ignore[attr-defined]  # where the handler finds it
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        hub.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(send_body=True)

    def do_HEAD(self) -> None:
        self._answer(send_body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    @property
    def _hub(self) -> FakeHub:
        return self.server.hub  # type: ignore[attr-defined, no-any-return]  # set in serve_hub

    def _answer(self, *, send_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self._hub.requests.append((self.command, path, self.headers.get("Range", "")))
        self._hub.tokens.append((path, self.headers.get("Authorization", "")))
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"] and len(parts) >= 4:
            self._describe(f"{parts[2]}/{parts[3]}", "/".join(parts[5:]) or "main")
        elif len(parts) >= 5 and parts[2] == "resolve":
            self._resolve(f"{parts[0]}/{parts[1]}", parts[3], "/".join(parts[4:]), send_body=send_body)
        elif parts[0] == "storage":
            self._send_file(
                self._hub.repositories[f"{parts[1]}/{parts[2]}"].files["/".join(parts[3:])], path, send_body
            )
        else:
            self._refuse(404, "EntryNotFound")

    def _describe(self, name: str, revision: str) -> None:
        repository = self._hub.repositories.get(name)
        if repository is None:
            return self._refuse(404, "RepoNotFound")
        if revision not in (*repository.revisions, repository.commit):
            return self._refuse(404, "RevisionNotFound")
        siblings = [_sibling(name, content) for name, content in repository.files.items()]
        body = json.dumps({"id": name, "modelId": name, "sha": repository.commit, "siblings": siblings}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None

    def _resolve(self, name: str, revision: str, file: str, *, send_body: bool) -> None:
        repository = self._hub.repositories.get(name)
        if repository is None:
            return self._refuse(404, "RepoNotFound")
        if repository.gated_for and self.headers.get("Authorization") != f"Bearer {repository.gated_for}":
            return self._refuse(403 if self.headers.get("Authorization") else 401, "GatedRepo")
        content = repository.files.get(file)
        if content is None or revision not in (repository.commit, *repository.revisions):
            return self._refuse(404, "EntryNotFound")
        if len(content) < LFS_BYTES:
            return self._send_file(content, file, send_body)
        host = self._hub.url.replace("127.0.0.1", "localhost")  # another name, as the hub's storage has
        self.send_response(302)
        self.send_header("Location", f"{host}/storage/{name}/{file}")
        self.send_header("X-Repo-Commit", repository.commit)
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("X-Linked-Etag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def _send_file(self, content: bytes, name: str, send_body: bool) -> None:
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        part = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(part)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if send_body and part:
            self._send_bytes(part, name)

    def _send_bytes(self, part: bytes, name: str) -> None:
        hub = self._hub
        if hub.corrupt and name.endswith(hub.corrupt):
            part = part[:-1] + bytes([part[-1] ^ 1])
        if len(part) < LFS_BYTES:
            self.wfile.write(part)
        elif hub.cut_after is not None:
            part, hub.cut_after = part[: hub.cut_after], None
            self.wfile.write(part)
            self.close_connection = True
        elif hub.hold_after is not None:
            first, hub.hold_after = hub.hold_after, None
            self.wfile.write(part[:first])
            hub.held.set()
            hub.release.wait(60)
            self.close_connection = True
        else:
            self.wfile.write(part)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _sibling(name: str, content: bytes) -> dict[str, Any]:
    git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    entry: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": git}
    if len(content) >= LFS_BYTES:
        sha256 = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 130}
    return entry
