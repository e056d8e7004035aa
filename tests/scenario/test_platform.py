"""The platform as a process: started, killed, started again, started twice, started where it cannot be."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from saker.access.credentials import read_root
from support.live import deploy, write_fake_model

pytestmark = pytest.mark.real


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PlatformProcess:
    """`saker up` in a folder, on a port."""

    def __init__(self, home: Path, *, demo: bool = False, port: int | None = None) -> None:
        self.home = home
        self.port = port or free_port()
        self.demo = demo
        self.process: subprocess.Popen[str]

    def start(self) -> PlatformProcess:
        arguments = ["up", "--home", str(self.home), "--port", str(self.port)]
        self.process = self.run(*arguments, *([] if self.demo else ["--no-demo"]))
        poll(lambda: self.answers() or self.process.poll() is not None)
        assert self.process.poll() is None, self.process.communicate()
        return self

    def run(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("SAKER_", "AWS_"))}
        command = [sys.executable, "-m", "saker", *arguments]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                probe.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                return probe.recv(64).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; exit status and standard error."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors

    def client(self, service: str) -> Any:
        root = read_root(self.home / "credentials")
        assert root is not None
        return botocore.session.Session().create_client(
            service,
            region_name="us-east-1",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id=root.access_key_id,
            aws_secret_access_key=root.secret_access_key,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def workers(self) -> list[int]:
        """The ids of this platform's worker processes, whoever their parent is by now."""
        return [pid for pid, line in commands() if "saker.engine.worker" in line and str(self.home.parent) in line]


def commands() -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield int(folder.name), (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue


def poll(condition: Callable[[], Any], seconds: float = 30) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return found


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[PlatformProcess]:
    running = PlatformProcess(tmp_path / "home")
    yield running.start()
    running.stop()


def ask(platform: PlatformProcess, name: str) -> str:
    answer = platform.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=b'{"inputs": "a b"}')
    return str(json.loads(answer["Body"].read())[0]["generated_text"])


def test_a_killed_gateway_leaves_nothing_behind_and_comes_back_as_it_was(
    platform: PlatformProcess, tmp_path: Path
) -> None:
    deploy(platform.client("sagemaker"), "parrot", write_fake_model(tmp_path / "fake"))
    before = platform.client("sagemaker").describe_endpoint(EndpointName="parrot")
    assert 1 == len(platform.workers())

    platform.stop(signal.SIGKILL)
    poll(lambda: not platform.workers(), seconds=5)
    platform.start()
    described = poll(lambda: in_service(platform, "parrot"))

    assert ask(platform, "parrot") == "a b"
    assert (before["CreationTime"], before["EndpointArn"]) == (described["CreationTime"], described["EndpointArn"])


def test_a_request_that_comes_while_an_endpoint_comes_back_waits_for_it(
    platform: PlatformProcess, tmp_path: Path
) -> None:
    deploy(platform.client("sagemaker"), "parrot", write_fake_model(tmp_path / "fake", load_s=1.0))
    platform.stop(signal.SIGKILL)

    platform.start()

    assert platform.client("sagemaker").describe_endpoint(EndpointName="parrot")["EndpointStatus"] == "SystemUpdating"
    assert ask(platform, "parrot") == "a b"


def test_a_creation_that_was_cut_off_is_finished_by_the_next_start(platform: PlatformProcess, tmp_path: Path) -> None:
    deploy(platform.client("sagemaker"), "parrot", write_fake_model(tmp_path / "fake", load_s=1.0), wait=False)
    platform.stop(signal.SIGKILL)

    platform.start()

    assert poll(lambda: in_service(platform, "parrot"))


def test_a_killed_worker_is_replaced(platform: PlatformProcess, tmp_path: Path) -> None:
    deploy(platform.client("sagemaker"), "parrot", write_fake_model(tmp_path / "fake"))
    (worker,) = platform.workers()

    os.kill(worker, signal.SIGKILL)
    poll(lambda: platform.workers() not in ([], [worker]))

    assert ask(platform, "parrot") == "a b"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_platform_and_its_workers(tmp_path: Path, number: int) -> None:
    platform = PlatformProcess(tmp_path / "home").start()
    deploy(platform.client("sagemaker"), "parrot", write_fake_model(tmp_path / "fake"))

    status, errors = platform.stop(number)

    assert status in (0, 130)
    assert "Traceback" not in errors
    assert [] == platform.workers()


def test_a_second_start_finds_everything_and_a_deleted_demo_stays_deleted(tmp_path: Path) -> None:
    platform = PlatformProcess(tmp_path / "home", demo=True).start()
    poll(lambda: in_service(platform, "demo"))
    platform.client("sagemaker").delete_endpoint(EndpointName="demo")
    poll(lambda: not platform.client("sagemaker").list_endpoints()["Endpoints"])
    platform.stop()

    platform.start()

    assert [] == platform.client("sagemaker").list_endpoints()["Endpoints"]
    platform.stop()


def test_two_platforms_run_side_by_side(platform: PlatformProcess, tmp_path: Path) -> None:
    other = PlatformProcess(tmp_path / "other").start()
    deploy(other.client("sagemaker"), "parrot", write_fake_model(tmp_path / "fake"))

    with pytest.raises(ClientError, match="Could not find endpoint"):
        platform.client("sagemaker").describe_endpoint(EndpointName="parrot")
    other.stop()


def test_a_port_in_use_is_told_with_who_holds_it(platform: PlatformProcess, tmp_path: Path) -> None:
    late = PlatformProcess(tmp_path / "other", port=platform.port)
    process = late.run("up", "--home", str(late.home), "--port", str(late.port))

    _, errors = process.communicate(timeout=30)

    assert process.returncode == 1
    assert str(platform.port) in errors
    assert "in use" in errors
    assert str(platform.process.pid) in errors


def test_a_data_folder_in_use_is_told_with_who_holds_it(platform: PlatformProcess) -> None:
    process = platform.run("up", "--home", str(platform.home), "--port", str(free_port()))

    _, errors = process.communicate(timeout=30)

    assert process.returncode == 1
    assert str(platform.process.pid) in errors


def test_a_data_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    process = PlatformProcess(tmp_path).run("up", "--home", str(tmp_path / "file" / "home"), "--port", str(free_port()))

    _, errors = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "Traceback" not in errors
    assert "--home" in errors or "SAKER_HOME" in errors


def in_service(platform: PlatformProcess, name: str) -> Any:
    described = platform.client("sagemaker").describe_endpoint(EndpointName=name)
    return described if described["EndpointStatus"] == "InService" else None
