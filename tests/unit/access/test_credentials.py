"""The root's credentials and the master key: made once, private, and never taken on trust."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from saker.access.credentials import load_master_key, load_root, read_private, read_root, write_private
from saker.core.errors import InvalidInput, Unavailable
from saker.settings import Secret, Settings


def make_settings(home: Path, **changes: Any) -> Settings:
    return Settings(home=home, **changes)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# The root


def test_the_first_start_makes_credentials_that_only_the_owner_can_read(tmp_path: Path) -> None:
    root = load_root(make_settings(tmp_path))

    assert root == read_root(tmp_path / "credentials")
    assert mode(tmp_path / "credentials") == 0o600
    assert [tmp_path / "credentials"] == list(tmp_path.iterdir())  # no temporary file stays


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load_root(make_settings(tmp_path))
        load_master_key(tmp_path)
    finally:
        os.umask(before)

    assert {mode(path) for path in tmp_path.iterdir()} == {0o600}


def test_later_starts_read_the_same_credentials(tmp_path: Path) -> None:
    first = load_root(make_settings(tmp_path))

    assert first == load_root(make_settings(tmp_path))


def test_two_platforms_do_not_share_credentials(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    a, b = load_root(make_settings(tmp_path / "a")), load_root(make_settings(tmp_path / "b"))

    assert not {a.access_key_id, a.secret_access_key, a.bearer_key} & {
        b.access_key_id,
        b.secret_access_key,
        b.bearer_key,
    }


def test_a_key_pair_in_the_settings_replaces_what_is_stored_and_stays(tmp_path: Path) -> None:
    first = load_root(make_settings(tmp_path))

    given = load_root(make_settings(tmp_path, root_access_key_id="AKIAMINE", root_secret_access_key=Secret("mine")))
    later = load_root(make_settings(tmp_path))

    assert (given.access_key_id, given.secret_access_key) == ("AKIAMINE", "mine")
    assert given.bearer_key == first.bearer_key
    assert given == later


def test_the_account_id_is_the_settings(tmp_path: Path) -> None:
    load_root(make_settings(tmp_path))

    assert load_root(make_settings(tmp_path, account_id="1" * 12)).account_id == "1" * 12


@pytest.mark.parametrize(
    "half", [{"root_access_key_id": "AKIAMINE"}, {"root_secret_access_key": Secret("half-a-secret")}]
)
def test_half_a_key_pair_is_refused_without_being_shown(tmp_path: Path, half: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="Set both") as caught:
        load_root(make_settings(tmp_path, **half))

    assert "half-a-secret" not in str(caught.value)
    assert not (tmp_path / "credentials").exists()


def test_credentials_do_not_show_their_secrets(tmp_path: Path) -> None:
    root = load_root(make_settings(tmp_path))

    assert root.access_key_id in repr(root)
    assert root.secret_access_key not in f"{root!r} {root}"
    assert root.bearer_key not in f"{root!r} {root}"


GOOD = {"account_id": "0" * 12, "access_key_id": "AKIA", "secret_access_key": "s", "bearer_key": "b"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'"AKIA"',
        b"null",
        json.dumps(GOOD).encode()[:-1],  # cut short
        json.dumps({**GOOD, "bearer_key": ""}).encode(),  # would let everyone in
        json.dumps({**GOOD, "bearer_key": 1}).encode(),
        json.dumps({**GOOD, "more": "x"}).encode(),
        json.dumps({"account_id": "0" * 12}).encode(),
    ],
)
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "credentials"
    write_private(path, content)

    with pytest.raises(Unavailable, match=r"credentials' is damaged\. Restore it"):
        load_root(make_settings(tmp_path))

    assert content == path.read_bytes()


@pytest.mark.parametrize("name", ["credentials", "master.key"])
@pytest.mark.parametrize("open_mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused_with_the_command_that_closes_it(
    tmp_path: Path, name: str, open_mode: int
) -> None:
    load_root(make_settings(tmp_path))
    load_master_key(tmp_path)
    (tmp_path / name).chmod(open_mode)

    with pytest.raises(Unavailable, match=rf"Its mode is {open_mode:04o}\. Run: chmod 600 {tmp_path / name}"):
        read_private(tmp_path / name)


# The master key


def test_the_master_key_is_made_once(tmp_path: Path) -> None:
    key = load_master_key(tmp_path)

    assert len(key) == 32
    assert key == load_master_key(tmp_path)
    assert mode(tmp_path / "master.key") == 0o600


@pytest.mark.parametrize("length", [0, 16, 31, 33])  # 16 would be a key, of a weaker cipher
def test_a_master_key_of_another_length_is_refused(tmp_path: Path, length: int) -> None:
    write_private(tmp_path / "master.key", bytes(length))

    with pytest.raises(Unavailable, match=f"It has {length} bytes and must have 32"):
        load_master_key(tmp_path)


# Private files


def test_a_file_that_is_absent_reads_as_none(tmp_path: Path) -> None:
    assert read_private(tmp_path / "missing") is None


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir(mode=0o700)

    with pytest.raises(Unavailable, match="cannot be read"):
        read_private(tmp_path / "credentials")


@pytest.mark.parametrize("folder", ["missing", "file"])
def test_what_cannot_be_written_is_refused_with_a_way_out(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(Unavailable, match=r"cannot be written.*SAKER_HOME"):
        write_private(tmp_path / folder / "credentials", b"x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into read-only folders")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(Unavailable, match="Permission denied"):
        load_root(make_settings(tmp_path))


def test_writing_over_a_file_that_others_can_read_closes_it(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_bytes(b"old")
    path.chmod(0o644)

    write_private(path, b"new")

    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
