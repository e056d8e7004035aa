"""One sequence of tokens and the blocks that hold its keys and values."""

from __future__ import annotations

from collections.abc import Sequence as Tokens

from saker.engine.memory import BLOCK_TOKENS
from saker.engine.paged.blocks import BlockPool, blocks_for, digest
from saker.engine.paged.schedule import Cached


class Sequence:
    """A `schedule.Job`: its tokens, how many are computed, and its share of a pool."""

    __slots__ = (
        "_digests",
        "_has_forked",
        "_pool",
        "_published",
        "_root",
        "arrival",
        "blocks",
        "computed",
        "priority",
        "prompt_length",
        "reads_cache",
        "tokens",
    )

    def __init__(
        self, pool: BlockPool, prompt: Tokens[int], *, priority: int = 0, arrival: int = 0, root: bytes = b""
    ) -> None:
        """
        Args:
            root: What its digests begin with: blocks are shared only under the same one.
        """
        self.tokens = list(prompt)
        """The prompt and what was generated."""
        self.prompt_length = len(self.tokens)
        self.computed = 0
        self.blocks: list[int] = []
        """In the order of the tokens."""
        self.priority = priority
        self.arrival = arrival
        """Among equal priorities the lower goes first."""
        self.reads_cache = True
        """Whether a beginning that others have computed need not be computed again."""
        self._pool = pool
        self._digests: list[bytes] = []
        """Of the full blocks, as far as they were needed."""
        self._published = 0
        self._root = root
        self._has_forked = False
        """Whether others may hold the block that it writes next; full blocks are shared without that."""

    @property
    def length(self) -> int:
        """How many tokens there are."""
        return len(self.tokens)

    def missing_blocks(self, tokens: int) -> int:
        """At most how many blocks it must take before it computes so many more tokens."""
        # It may hold more than it needs: a guess that came to nothing has taken room.
        return max(blocks_for(self.computed + tokens) - len(self.blocks), 0) + self._writes_to_shared()

    def own_blocks(self) -> int:
        """How many blocks become available when it leaves."""
        return sum(self._pool.holders(block) == 1 for block in self.blocks)

    def cached(self) -> Cached:
        """What the prefix cache has of its beginning."""
        found = self._find()
        return Cached(len(found), sum(map(self._pool.is_idle, found)))

    def enter(self) -> None:
        """Hold what the prefix cache has of its beginning, which then need not be computed."""
        assert not self.blocks
        self.blocks = self._find()
        for block in self.blocks:
            self._pool.hold(block)
        self._published = len(self.blocks)
        self.computed = self._published * BLOCK_TOKENS

    def grow(self, length: int) -> tuple[int, int] | None:
        """Take the blocks for the tokens up to `length`, the first of which will be written next.

        Returns:
            A block to copy and the one to copy it to, where others hold the block that will be written.
        """
        copy = None
        if self._writes_to_shared():
            place = self.computed // BLOCK_TOKENS
            shared = self.blocks[place]
            self.blocks[place] = self._pool.take()
            self._pool.release(shared)
            copy = (shared, self.blocks[place])
        for _ in range(blocks_for(length) - len(self.blocks)):
            self.blocks.append(self._pool.take())
        return copy

    def advance(self, tokens: int) -> None:
        """Take note of computed tokens, and make the blocks they filled findable."""
        self.computed += tokens
        while (self._published + 1) * BLOCK_TOKENS <= self.computed:
            self._extend_digests(self._published + 1)
            self._pool.publish(self.blocks[self._published], self._digests[self._published])
            self._published += 1

    def fork(self, other: Sequence) -> None:
        """Let another sequence, of the same tokens, hold the same blocks."""
        assert not other.blocks
        used = blocks_for(self.computed)
        for block in self.blocks[:used]:
            self._pool.hold(block)
        other.blocks = self.blocks[:used]
        self._has_forked = other._has_forked = True
        other.computed = self.computed
        other._published = self._published
        other._digests = self._digests.copy()

    def leave(self) -> None:
        """Give back all blocks. The last go first, because a beginning is of more use to others."""
        for block in reversed(self.blocks):
            self._pool.release(block)
        self.blocks = []
        self.computed = self._published = 0
        self._has_forked = False

    def _writes_to_shared(self) -> bool:
        if not self._has_forked:
            return False
        place, offset = divmod(self.computed, BLOCK_TOKENS)
        return offset > 0 and self._pool.holders(self.blocks[place]) > 1

    def _find(self) -> list[int]:
        if not self.reads_cache:
            return []
        # The last token must be computed in any case: its logits say what comes next.
        full = (len(self.tokens) - 1) // BLOCK_TOKENS
        self._extend_digests(full)
        return self._pool.find(self._digests[:full])

    def _extend_digests(self, count: int) -> None:
        for place in range(len(self._digests), count):
            before = self._digests[place - 1] if place else self._root
            start = place * BLOCK_TOKENS
            self._digests.append(digest(before, self.tokens[start : start + BLOCK_TOKENS]))
