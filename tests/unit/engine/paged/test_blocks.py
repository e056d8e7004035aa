"""The pool of KV blocks: nobody's block is used twice, none is lost, and a known beginning is found again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from saker.engine.paged.blocks import BlockPool, blocks_for, digest


@pytest.mark.parametrize(("tokens", "blocks"), [(0, 0), (1, 1), (32, 1), (33, 2)])
def test_a_block_begun_is_a_block_needed(tokens: int, blocks: int) -> None:
    assert blocks == blocks_for(tokens)


def test_a_digest_depends_on_all_tokens_before() -> None:
    tokens = list(range(32))

    assert digest(b"", tokens) == digest(b"", tokens)
    assert len({digest(b"", tokens), digest(digest(b"", tokens), tokens), digest(b"", tokens[::-1])}) == 3


def test_published_blocks_are_found_after_their_holder_left() -> None:
    pool = BlockPool(2)
    block = pool.take()
    pool.publish(block, b"one")
    pool.release(block)

    assert [block] == pool.find([b"one", b"two"])
    assert 2 == pool.available


def test_the_longest_unused_beginning_makes_room_first() -> None:
    pool = BlockPool(2)
    first, second = pool.take(), pool.take()
    for block, name in ((first, b"first"), (second, b"second")):
        pool.publish(block, name)
        pool.release(block)
    pool.hold(first)
    pool.release(first)

    assert second == pool.take()
    assert ([first], []) == (pool.find([b"first"]), pool.find([b"second"]))


def test_a_pool_gives_out_no_more_than_it_has() -> None:
    pool = BlockPool(1)
    pool.take()

    assert 0 == pool.available
    with pytest.raises(IndexError):
        pool.take()


def test_of_two_blocks_with_the_same_content_the_first_stays_findable() -> None:
    pool = BlockPool(2)
    first, second = pool.take(), pool.take()
    pool.publish(first, b"same")
    pool.publish(second, b"same")
    pool.release(second)

    assert [first] == pool.find([b"same"])
    assert 1 == pool.available


class Pool(RuleBasedStateMachine):
    """Any order of calls, beside a list of who holds what."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = BlockPool(5)
        self.held: list[int] = []
        self.names: dict[int, bytes] = {}

    @precondition(lambda self: self.pool.available)
    @rule()
    def take(self) -> None:
        block = self.pool.take()
        assert block not in self.held
        self.names.pop(block, None)
        self.held.append(block)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        block = data.draw(st.sampled_from(self.held))
        self.held.remove(block)
        self.pool.release(block)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), name=st.binary(min_size=1, max_size=1))
    def publish(self, data: st.DataObject, name: bytes) -> None:
        block = data.draw(st.sampled_from(self.held))
        self.pool.publish(block, name)
        if name not in self.names.values():
            self.names.setdefault(block, name)

    @rule(name=st.binary(min_size=1, max_size=1))
    def find_and_hold(self, name: bytes) -> None:
        for block in self.pool.find([name]):
            assert self.names[block] == name
            self.pool.hold(block)
            self.held.append(block)

    @invariant()
    def every_block_is_held_or_available(self) -> None:
        assert self.pool.count == self.pool.available + len(set(self.held))
        assert all(self.pool.holders(block) == self.held.count(block) for block in range(self.pool.count))


TestPool = Pool.TestCase


@given(st.lists(st.integers(0, 3), max_size=8))
def test_finding_stops_at_the_first_unknown_block(names: list[int]) -> None:
    pool = BlockPool(2)
    for name in (b"0", b"1"):
        pool.publish(pool.take(), name)
    known = [name < 2 for name in names]

    found = pool.find([str(name).encode() for name in names])

    assert [*known, False].index(False) == len(found)
