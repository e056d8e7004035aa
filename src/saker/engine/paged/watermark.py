"""Marks generated text so that statistics can tell it from other text, and tells it.

The token before seeds a hash that makes a share `gamma` of the vocabulary green; green logits are raised by `delta`.
Text written without knowledge of the hash holds a share of about `gamma` of green tokens, marked text many more.
Whether a token is green depends on the two tokens and the key alone, so detection needs neither model nor vocabulary.

Source: Kirchenbauer et al.: A Watermark for Large Language Models. ICML 2023 (algorithm 2, with one token of context).
The hash is MurmurHash3's finalizer; other implementations use others, so each detects only its own marks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

GAMMA = 0.5
"""Share of green tokens. Source: text-generation-inference, WATERMARK_GAMMA."""
DELTA = 2.0
"""What green logits are raised by. Source: text-generation-inference, WATERMARK_DELTA."""
KEY = 15485863
"""Seeds the hash; who knows it can detect the mark, and remove it. Source: the paper's code, hash_key."""

MOST_KNOWN = 1024
"""Tokens whose green ones are kept, at an eighth of a byte for each token of the vocabulary."""


@dataclass(frozen=True)
class Detection:
    """How likely a text carries the mark."""

    scored: int
    """Pairs of neighbouring tokens, each counted once."""
    green: int
    z: float
    """By how many standard deviations the green ones exceed their expected number."""
    p_value: float
    """How often unmarked text would score as high, over all keys; with one key, texts that share pairs err together."""


class Watermark:
    """Green tokens by the token before them."""

    def __init__(self, vocabulary_size: int, gamma: float = GAMMA, delta: float = DELTA, key: int = KEY) -> None:
        self._ids = np.arange(vocabulary_size, dtype=np.uint32)
        self._gamma = gamma
        self._key = key
        self._green: dict[int, npt.NDArray[np.uint8]] = {}
        """By the token before: a bit for each token, the latest `MOST_KNOWN`; text says the same words again."""
        bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
        self._raises = bits.astype(np.float32) * np.float32(delta)
        """For each byte what to add to 8 logits."""

    def change(self, last: int) -> WatermarkChange:
        """A logits change for one answer whose prompt ends with the token `last`."""
        return WatermarkChange(self, last)

    def raise_green(self, row: npt.NDArray[np.float32], before: int) -> None:
        """Raise the logits of the tokens that are green after `before`."""
        green = self._green.get(before)
        if green is None:
            green = np.packbits(_is_green(before, self._ids, self._gamma, self._key))
            if len(self._green) >= MOST_KNOWN:
                del self._green[next(iter(self._green))]
            self._green[before] = green
        row += np.take(self._raises, green, axis=0, mode="clip").reshape(-1)[: len(row)]  # six times as fast as []


class WatermarkChange:
    """One answer's `logits.Change`."""

    def __init__(self, watermark: Watermark, last: int) -> None:
        self._watermark = watermark
        self._last = last

    def apply(self, row: npt.NDArray[np.float32]) -> None:
        """Raise the green logits."""
        self._watermark.raise_green(row, self._last)

    def take(self, token: int) -> None:
        """Let the token decide what is green next."""
        self._last = token


def detect(tokens: Sequence[int], gamma: float = GAMMA, key: int = KEY) -> Detection:
    """Test the hypothesis that the text was written without the mark.

    Args:
        tokens: Of the text, with the tokenizer that wrote it. Its first token has none before it and is not scored.
    """
    # A repeated pair says nothing new, and unmarked text that repeats itself would score by luck (the paper's remark).
    pairs = dict.fromkeys(itertools.pairwise(tokens))
    green = sum(bool(_is_green(before, np.array([token], np.uint32), gamma, key)[0]) for before, token in pairs)
    scored = len(pairs)
    if not scored:
        return Detection(0, 0, 0.0, 1.0)
    z = (green - gamma * scored) / math.sqrt(scored * gamma * (1 - gamma))
    return Detection(scored, green, z, _tail(green, scored, gamma))


def _tail(green: int, scored: int, gamma: float) -> float:
    """The probability of so many green tokens or more.

    The normal distribution's tail, which the paper reads off z, is 13 times too small for 25 tokens at a gamma of 0.25.
    """
    log_factorials = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, scored + 1)))))
    counts = np.arange(green, scored + 1)
    ways = log_factorials[scored] - log_factorials[counts] - log_factorials[scored - counts]
    logs = ways + counts * math.log(gamma) + (scored - counts) * math.log1p(-gamma)
    return min(float(np.exp(logs).sum()), 1.0)


def _is_green(before: int, ids: npt.NDArray[np.uint32], gamma: float, key: int) -> npt.NDArray[np.bool_]:
    mixed = ids ^ np.uint32(_mix(before ^ key))
    mixed *= np.uint32(0x85EBCA6B)
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(0xC2B2AE35)
    mixed ^= mixed >> np.uint32(16)
    return mixed < np.uint32(gamma * 0xFFFFFFFF)


def _mix(number: int) -> int:
    """MurmurHash3's finalizer of 32 bits."""
    number = (number ^ (number >> 16)) * 0x85EBCA6B & 0xFFFFFFFF
    number = (number ^ (number >> 13)) * 0xC2B2AE35 & 0xFFFFFFFF
    return number ^ (number >> 16)
