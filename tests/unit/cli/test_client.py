"""Speaking to a platform that is not there, is another's, or is no platform."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from saker.cli.client import Client
from saker.core.errors import InvalidInput, NotFound, Unauthenticated, Unavailable
from saker.settings import Settings, load
from saker.storage.lock import FolderLock
from support.command_line import write_credentials


class Stranger(BaseHTTPRequestHandler):
    """Some other web server."""

    answer = (404, b"<html>not found</html>")

    def do_GET(self) -> None:
        status, body = self.answer
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def stranger() -> Iterator[type[Stranger]]:
    """A web server that is not Saker; set `answer` and read `port`."""

    class Own(Stranger):
        port = 0

    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as server:
        Own.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Own
        server.shutdown()
        thread.join()


def settings(home: Path, port: int) -> Settings:
    """A data folder with credentials, and a port."""
    return load({"home": write_credentials(home), "port": port}, {})


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_platform_that_does_not_run_is_named_with_the_command_that_starts_it(tmp_path: Path) -> None:
    client = Client(settings(tmp_path, free_port()))

    with pytest.raises(Unavailable) as caught:
        client.call("GET", "/saker/status")
    assert caught.value.fix == "Start it: saker up --detach"
    with pytest.raises(Unavailable, match="No platform answers"):
        client.sagemaker("list_endpoints")


def test_a_platform_that_runs_and_does_not_answer_is_told_apart(tmp_path: Path) -> None:
    client = Client(settings(tmp_path, free_port()))

    with FolderLock(tmp_path).acquire(port=1), pytest.raises(Unavailable, match="did not answer"):
        client.call("GET", "/saker/status")


def test_a_server_that_is_no_platform_is_found_out(tmp_path: Path, stranger: type[Stranger]) -> None:
    with pytest.raises(NotFound, match="not as Saker does"):
        Client(settings(tmp_path, stranger.port)).call("GET", "/saker/status")  # type: ignore[attr-defined]  # set by the fixture


def test_a_platform_of_another_folder_is_found_out(tmp_path: Path, stranger: type[Stranger]) -> None:
    stranger.answer = (401, b'{"error": {"message": "Incorrect API key provided."}}')

    with pytest.raises(Unauthenticated, match="does not know the keys"):
        Client(settings(tmp_path, stranger.port)).call("GET", "/saker/status")  # type: ignore[attr-defined]  # set by the fixture


def test_a_refusal_has_the_platforms_own_words(tmp_path: Path, stranger: type[Stranger]) -> None:
    stranger.answer = (400, b'{"error": {"message": "It is too long. The limit is 3."}}')

    with pytest.raises(InvalidInput, match=r"^It is too long\. The limit is 3\.$"):
        Client(settings(tmp_path, stranger.port)).call("GET", "/saker/status")  # type: ignore[attr-defined]  # set by the fixture


def test_a_server_that_falls_silent_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = Client(settings(tmp_path, server.getsockname()[1]))

        with pytest.raises(Unavailable):
            client.call("GET", "/saker/status", timeout_s=0.05)


def test_the_users_own_aws_profile_has_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "missing")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    port = free_port()

    with pytest.raises(Unavailable, match=f":{port}"):
        Client(settings(tmp_path, port)).sagemaker("list_endpoints")
