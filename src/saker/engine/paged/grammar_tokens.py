"""The tokens that the library knows beside those that the model can draw, and how the library's masks become logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import tokenizers
from llguidance import LLTokenizer

from saker.core.errors import Unsupported
from saker.engine.paged.grammar_source import reason
from saker.engine.text import FastTokenizer

Row = npt.NDArray[np.float32]
Words = npt.NDArray[np.int32]
"""A mask as the library has it: 32 tokens in a word, the first in its lowest bit."""

END = "<|saker: end of text|>"
"""A token that the library takes for an end of text, so that models without one can have forms."""

SPACE = "▁"
"""What stands for a space in the tokens of sentencepiece."""


class Tokens:
    """What all answers of one model share; it reads a whole tokenizer, so it is made once."""

    def __init__(self, folder: Path, size: int, eos_ids: frozenset[int]) -> None:
        tokenizer = tokenizers.Tokenizer.from_str(FastTokenizer(folder).to_json())
        _keep_all_letters(tokenizer)
        tokenizer.add_special_tokens([END])
        end = tokenizer.token_to_id(END)
        assert end is not None
        drawable = np.arange(max(size, end + 1)) < min(size, end)
        ends = sorted(id for id in eos_ids if id < min(size, end))
        try:
            self.tokenizer = LLTokenizer(tokenizer.to_str(), n_vocab=len(drawable), eos_token=[*ends, end])
        except ValueError as error:
            why = f"llguidance cannot read its tokenizer: {reason(str(error))}."
            raise Unsupported("The model's answers cannot be given a form.", why=why) from error
        self.drawable = _pack(drawable)
        drawable[ends] = False
        self.text = _pack(drawable)
        """The drawable ones without the ends of text."""
        self._size = size
        bits = np.arange(256)[:, None] >> np.arange(8) & 1
        self._offsets = np.where(bits, np.float32(0), np.float32(-np.inf))
        """For each byte of a mask what to add to 8 logits."""
        self._added = np.zeros((4 * len(self.drawable), 8), np.float32)

    def forbid(self, row: Row, words: Words) -> None:
        """Set the logits of the tokens that are not in the mask to minus infinity."""
        # Adding takes the same time for every mask; assigning by a mask takes 30 times as long for an unlucky one.
        np.take(self._offsets, words.view(np.uint8), axis=0, out=self._added, mode="clip")
        row += self._added.reshape(-1)[: self._size]


def _keep_all_letters(tokenizer: tokenizers.Tokenizer) -> None:
    """Let it change nothing but the sign for a space.

    Where all is settled for a while the library allows only the tokens that the text would have. It believes in what
    they spell: of a normalizer that strips spaces or composes letters would come an answer without them.
    """
    if tokenizer.normalizer is not None:
        has_sign = SPACE in tokenizer.normalizer.normalize_str("a b")
        kept = [tokenizers.normalizers.Replace(" ", SPACE)] if has_sign else []
        tokenizer.normalizer = tokenizers.normalizers.Sequence(kept)


def _pack(mask: npt.NDArray[np.bool_]) -> Words:
    padded = np.zeros(-(-len(mask) // 32) * 32, np.bool_)
    padded[: len(mask)] = mask
    return np.packbits(padded, bitorder="little").view(np.int32)
