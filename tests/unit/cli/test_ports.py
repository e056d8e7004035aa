"""Who listens on a port."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from saker.cli import ports
from saker.core.errors import Conflict
from saker.settings import load
from saker.storage.lock import FolderLock


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which this process listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_in_use_is_not_free(taken: int) -> None:
    assert not ports.is_free("127.0.0.1", taken)


def test_a_free_port_is_free_and_has_no_listener(taken: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]

    assert ports.is_free("127.0.0.1", number)
    assert ports.find_listener(number) is None
    ports.check_free(load({"port": number}, {}))


def test_any_free_port_needs_no_check() -> None:
    ports.check_free(load({"port": 0}, {}))


def test_a_foreign_listener_is_named_by_process_id_and_command(taken: int) -> None:
    listener = ports.find_listener(taken)

    assert listener is not None
    assert listener.pid == os.getpid()
    assert "python" in listener.command
    assert listener.home is None
    with pytest.raises(Conflict, match=f"process id {os.getpid()}"):
        ports.check_free(load({"port": taken}, {}))


def test_a_platform_of_ours_is_named_by_its_data_folder(taken: int, tmp_path: Path) -> None:
    with FolderLock(tmp_path).acquire(port=taken), pytest.raises(Conflict) as caught:
        ports.check_free(load({"port": taken}, {}))

    assert f"A platform with data folder {str(tmp_path)!r} listens on it" in caught.value.why
    assert f"saker down --home {tmp_path}" in caught.value.fix


def test_listeners_on_all_addresses_and_on_ipv6_are_found() -> None:
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1")):
        try:
            server = socket.create_server((host, 0), family=family)
        except OSError:
            pytest.skip(f"this machine has no {host}")
        with server:
            listener = ports.find_listener(server.getsockname()[1])

            assert listener is not None
            assert listener.pid == os.getpid()
