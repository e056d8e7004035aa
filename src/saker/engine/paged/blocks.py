"""Who holds which block of the KV cache, and which blocks still hold the beginning of some text.

A block holds the keys and values of `BLOCK_TOKENS` tokens. Sequences with the same beginning share its blocks, so each
block counts its holders. A full block is known by a digest of all tokens up to its end; nobody's blocks with a digest
stay as they are, the prefix cache, until their room is needed: the longest unused goes first.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Sequence

from saker.engine.memory import BLOCK_TOKENS


def blocks_for(tokens: int) -> int:
    """How many blocks hold so many tokens."""
    return -(-tokens // BLOCK_TOKENS)


def digest(before: bytes, tokens: Sequence[int]) -> bytes:
    """What a full block is known by.

    Args:
        before: The digest of the block before it; b"" at the beginning.
    """
    # A collision would show one caller another's text, hence no hash() and no short digest.
    return hashlib.blake2b(before + array("q", tokens).tobytes(), digest_size=16).digest()


class BlockPool:
    """A fixed number of blocks; it never gives out more."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._fresh = list(range(count - 1, -1, -1))
        """Blocks with nothing worth keeping."""
        self._holders = [0] * count
        self._known: dict[bytes, int] = {}
        self._digests: dict[int, bytes] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()
        """Blocks that nobody holds and a digest keeps, the longest unused first."""

    @property
    def available(self) -> int:
        """How many blocks can be taken now."""
        return len(self._fresh) + len(self._idle)

    def holders(self, block: int) -> int:
        """How many sequences hold the block."""
        return self._holders[block]

    def is_idle(self, block: int) -> bool:
        """Whether only the prefix cache keeps the block; to hold it makes one block less available."""
        return block in self._idle

    def find(self, digests: Sequence[bytes]) -> list[int]:
        """The cached blocks of a text's beginning, as many as there are; they are not held yet."""
        found: list[int] = []
        for name in digests:
            block = self._known.get(name)
            if block is None:
                break
            found.append(block)
        return found

    def take(self) -> int:
        """A block of one's own, its content of no use.

        Raises:
            IndexError: None is available; ask `available` first.
        """
        if self._fresh:
            block = self._fresh.pop()
        elif self._idle:
            block, _ = self._idle.popitem(last=False)
            del self._known[self._digests.pop(block)]
        else:
            raise IndexError(f"All {self.count} blocks are held.")
        self._holders[block] = 1
        return block

    def hold(self, block: int) -> None:
        """Hold a block that `find` gave, or that another sequence holds."""
        self._idle.pop(block, None)
        self._holders[block] += 1

    def release(self, block: int) -> None:
        """Hold it no more. A block with a digest stays findable while nobody needs its room."""
        assert self._holders[block] > 0, f"Block {block} is released by nobody."
        self._holders[block] -= 1
        if self._holders[block]:
            return
        if block in self._digests:
            self._idle[block] = None
        else:
            self._fresh.append(block)

    def publish(self, block: int, name: bytes) -> None:
        """Make a full block findable. Where another block has the same content already, that one stays."""
        if name not in self._known and block not in self._digests:
            self._known[name] = block
            self._digests[block] = name
