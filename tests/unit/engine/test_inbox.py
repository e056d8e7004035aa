"""Commands off a socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saker.engine.inbox import Inbox, watch_for_end
from saker.engine.messages import Cancel, Command, Generate, GenerateRequest, pack


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_nothing_there_is_no_wait(pair: tuple[socket.socket, socket.socket]) -> None:
    assert Inbox(pair[0]).read(wait=False) == []


@given(st.lists(st.text(max_size=50), min_size=1, max_size=5), st.integers(1, 40))
def test_commands_come_whole_however_they_are_cut(prompts: list[str], size: int) -> None:
    commands = [Generate(id, GenerateRequest(prompt=text)) for id, text in enumerate(prompts)]
    data = b"".join(pack(command) for command in commands)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        inbox = Inbox(ours)
        found: list[Command] = []
        for at in range(0, len(data), size):
            theirs.sendall(data[at : at + size])
            found += inbox.read(wait=True)

        assert found == commands


def test_a_command_larger_than_one_read_comes_whole(pair: tuple[socket.socket, socket.socket]) -> None:
    command = Generate(1, GenerateRequest(prompt="x" * 3_000_000))
    sender = threading.Thread(target=pair[1].sendall, args=(pack(command),))
    sender.start()
    inbox = Inbox(pair[0])
    found: list[Command] = []
    while not found:
        found = inbox.read(wait=True)
    sender.join()

    assert found == [command]


def test_a_broken_command_is_refused(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].sendall(pack(Cancel(1)))
    inbox = Inbox(pair[0])

    assert inbox.read(wait=True) == [Cancel(1)]
    pair[1].sendall(b"\x00\x00\x00\x01\xc0")
    with pytest.raises(msgspec.ValidationError):
        inbox.read(wait=True)


def test_a_frame_beyond_the_limit_is_refused_before_it_is_read(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].sendall(b"\xff\xff\xff\xff")

    with pytest.raises(ValueError, match="exceeds the limit"):
        Inbox(pair[0]).read(wait=True)


def test_the_end_of_the_other_side_is_told(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].close()

    with pytest.raises(EOFError):
        Inbox(pair[0]).read(wait=True)


def test_the_end_is_noticed_behind_unread_commands(pair: tuple[socket.socket, socket.socket]) -> None:
    told = threading.Event()
    watcher = threading.Thread(target=watch_for_end, args=(pair[0], told.set))
    watcher.start()
    pair[1].sendall(pack(Cancel(1)))
    pair[1].close()
    watcher.join(10)

    assert told.is_set()
