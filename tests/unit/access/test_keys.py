"""Access keys: made, listed, revoked, and unreadable without the master key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from saker.access.credentials import RootCredentials
from saker.access.keys import KeyRing
from saker.core.errors import InvalidInput, NotFound, Unavailable
from saker.core.principal import Principal
from saker.storage.tables import access_keys
from support.clock import FakeClock
from support.databases import make_database

ACCOUNT = "000000000000"
ROOT = RootCredentials(ACCOUNT, "AKIAROOT", "root-secret", "sk-saker-root")
MASTER_KEY = bytes(range(32))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = await make_database(tmp_path)
    yield engine
    await engine.dispose()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ring(database: AsyncEngine, clock: FakeClock) -> KeyRing:
    return KeyRing(database, ROOT, MASTER_KEY, clock)


async def restart(database: AsyncEngine, master_key: bytes = MASTER_KEY) -> KeyRing:
    ring = KeyRing(database, ROOT, master_key, FakeClock())
    await ring.load()
    return ring


def ada(key_id: str) -> Principal:
    return Principal(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/ada", key_id)


# Who is who


def test_the_roots_keys_stand_for_the_root(ring: KeyRing) -> None:
    root = Principal(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", "AKIAROOT")

    assert root == ring.principal("AKIAROOT")
    assert root == ring.bearer("sk-saker-root")
    assert ring.secret("AKIAROOT") == "root-secret"


@pytest.mark.parametrize("key", ["", "AKIANOBODY", "root-secret", "akiaroot"])
def test_an_unknown_key_stands_for_nobody(ring: KeyRing, key: str) -> None:
    assert ring.principal(key) is None
    assert ring.secret(key) is None
    assert ring.bearer(key) is None


def test_a_bearer_key_is_no_access_key_id_and_the_other_way_round(ring: KeyRing) -> None:
    assert ring.bearer("AKIAROOT") is None
    assert ring.secret("sk-saker-root") is None


async def test_a_new_key_works_at_once_and_stands_for_its_user(ring: KeyRing) -> None:
    made = await ring.create("ada")

    assert ring.principal(made.id) == ada(made.id)
    assert ring.bearer(made.bearer) == ada(made.id)
    assert made.secret == ring.secret(made.id)


async def test_a_key_works_after_a_restart(ring: KeyRing, database: AsyncEngine) -> None:
    made = await ring.create("ada")

    later = await restart(database)

    assert made.secret == later.secret(made.id)
    assert later.bearer(made.bearer) == ada(made.id)


async def test_a_user_may_have_several_keys(ring: KeyRing) -> None:
    one, other = await ring.create("ada"), await ring.create("ada")

    assert one.id != other.id
    assert {one.id, other.id} == {key.id for key in await ring.list()}


@pytest.mark.parametrize("name", ["", "root", "a b", "a/b", "a:root", "é", "a\n", "x" * 65])
async def test_a_name_that_no_user_can_have_is_refused(ring: KeyRing, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot name a key"):
        await ring.create(name)

    assert await ring.list() == []


@pytest.mark.parametrize("name", ["a", "x" * 64, "ada@example.com", "a+b=c,d.e-f_g"])
async def test_a_name_that_a_user_can_have_is_taken(ring: KeyRing, name: str) -> None:
    assert name == (await ring.create(name)).name


async def test_keys_are_listed_oldest_first_with_their_times_and_without_secrets(
    ring: KeyRing, clock: FakeClock
) -> None:
    first = await ring.create("zoe")
    born = clock.now()
    clock.advance(1)
    second = await ring.create("ada")

    listed = await ring.list()

    assert [first.id, second.id] == [key.id for key in listed]
    assert (born, True) == (listed[0].created_at, listed[0].is_active)
    assert first.secret not in repr(listed)


# Revoking


async def test_a_revoked_key_opens_nothing_any_more(ring: KeyRing, database: AsyncEngine) -> None:
    made = await ring.create("ada")
    kept = await ring.create("bob")

    await ring.revoke(made.id)

    for held in (ring, await restart(database)):
        assert held.secret(made.id) is None
        assert held.principal(made.id) is None
        assert held.bearer(made.bearer) is None
        assert held.secret(kept.id) == kept.secret
        assert held.bearer(kept.bearer) is not None


async def test_a_revoked_key_is_still_listed(ring: KeyRing) -> None:
    made = await ring.create("ada")
    await ring.revoke(made.id)

    assert [(made.id, False)] == [(key.id, key.is_active) for key in await ring.list()]


async def test_revoking_twice_is_safe(ring: KeyRing) -> None:
    made = await ring.create("ada")
    await ring.revoke(made.id)
    await ring.revoke(made.id)

    assert ring.secret(made.id) is None


async def test_revoking_an_unknown_key_is_refused(ring: KeyRing) -> None:
    with pytest.raises(NotFound, match="'AKIANOBODY'"):
        await ring.revoke("AKIANOBODY")


async def test_the_roots_key_cannot_be_revoked(ring: KeyRing) -> None:
    with pytest.raises(InvalidInput, match="cannot be revoked"):
        await ring.revoke("AKIAROOT")

    assert ring.secret("AKIAROOT") == "root-secret"


# At rest


async def test_no_file_holds_a_secret_in_the_clear(ring: KeyRing, tmp_path: Path) -> None:
    made = await ring.create("ada")
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    assert {"state.db", "state.db-wal"} <= set(files)
    assert any(made.id.encode() in content for content in files.values())  # the search finds what is there
    assert not [name for name, content in files.items() if made.secret.encode() in content]
    assert not [name for name, content in files.items() if made.bearer.encode() in content]


async def test_equal_secrets_would_not_look_equal(ring: KeyRing, database: AsyncEngine) -> None:
    """Every secret is sealed with a nonce of its own."""
    for name in ("ada", "bob", "cyd"):
        await ring.create(name)
    async with database.connect() as connection:
        sealed = (await connection.execute(text("SELECT secret FROM access_keys"))).scalars().all()

    assert len({secret[:12] for secret in sealed}) == 3


async def test_another_master_key_opens_nothing_and_says_why(ring: KeyRing, database: AsyncEngine) -> None:
    made = await ring.create("ada")

    with pytest.raises(Unavailable, match=r"master\.key and state\.db .* do not belong together") as caught:
        await restart(database, bytes(32))

    assert made.secret not in str(caught.value)


@pytest.mark.parametrize("sealed", [b"", b"short", bytes(60)])
async def test_a_damaged_secret_is_not_taken(ring: KeyRing, database: AsyncEngine, sealed: bytes) -> None:
    await ring.create("ada")
    async with database.begin() as connection:
        await connection.execute(update(access_keys).values(secret=sealed))

    with pytest.raises(Unavailable, match="cannot be decrypted"):
        await restart(database)


async def test_a_secret_cannot_be_moved_to_another_key(ring: KeyRing, database: AsyncEngine) -> None:
    one, other = await ring.create("ada"), await ring.create("bob")
    async with database.begin() as connection:
        await connection.execute(
            text(
                "UPDATE access_keys SET secret = (SELECT secret FROM access_keys WHERE id = :source) WHERE id = :target"
            ),
            {"source": one.id, "target": other.id},
        )

    with pytest.raises(Unavailable, match=other.id):
        await restart(database)
