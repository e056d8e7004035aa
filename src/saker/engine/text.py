"""Text to tokens and back, with the model's own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import tokenizers

from saker.core.errors import Unsupported
from saker.engine.config import read_json

PROMPT_TAIL = 8
"""How many prompt tokens are decoded along with an answer's first ones, so that it continues the prompt: sentencepiece
drops a space at the very beginning of a text, and only there."""

MAX_PENDING = 16
"""After so many tokens without a whole character the bytes are broken, not incomplete, and are shown as U+FFFD."""

_INCOMPLETE = "\ufffd"
"""What decoding gives for bytes that do not make a character (yet)."""


class Tokenizer(Protocol):
    """Both directions, one text at a time."""

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Token ids. `special` adds what the model expects around a plain text, such as a token for its beginning."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text, special tokens left out."""
        ...


class FastTokenizer:
    """A `tokenizer.json`, used as transformers uses it."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            Unsupported: There is no tokenizer.json, or it cannot be read.
        """
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise Unsupported(f"The model {str(folder)!r} has no tokenizer.json.")
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises plain Exception
            raise Unsupported(f"The tokenizer {str(path)!r} cannot be read.", why=f"{error}.") from error
        # Settings of the tokenizer's training that are not meant for prompts.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._add_declared_tokens(read_json(folder / "tokenizer_config.json"))

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Token ids."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=special).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text, special tokens left out."""
        text: str = self._tokenizer.decode(ids)
        return text

    def to_json(self) -> str:
        """What `tokenizers.Tokenizer.from_str` reads, with the tokens that only tokenizer_config.json declares."""
        text: str = self._tokenizer.to_str()
        return text

    def _add_declared_tokens(self, config: dict[str, object]) -> None:
        """Add tokens that only tokenizer_config.json declares, in order of their ids."""
        declared = config.get("added_tokens_decoder")
        if not isinstance(declared, dict):
            return
        for _, token in sorted(declared.items(), key=lambda item: int(item[0])):
            if self._tokenizer.token_to_id(token["content"]) is None:
                self._tokenizer.add_tokens([tokenizers.AddedToken(**token)])


class TextStream:
    """Decodes an answer as its tokens come; what it returned joins to the answer's text.

    A character whose bytes are spread over several tokens comes whole, with the last of them. Each piece is decoded
    together with the piece before it, because some tokens decode differently at the beginning of a text.
    """

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._window = list(prompt[-PROMPT_TAIL:])
        self._shown = len(self._window)
        """How many tokens of the window have been shown."""
        self._before = tokenizer.decode(self._window).rstrip(_INCOMPLETE)
        """Their text; without a character that the prompt leaves to the answer to complete."""

    def feed(self, ids: Sequence[int]) -> str:
        """Take tokens in; return the text they complete."""
        self._window += ids
        text = self._tokenizer.decode(self._window)
        is_whole = not text.endswith(_INCOMPLETE) or len(self._window) - self._shown >= MAX_PENDING
        if not is_whole or len(text) <= len(self._before):
            return ""
        piece = text[len(self._before) :]
        self._window = self._window[self._shown :]
        self._shown = len(self._window)
        self._before = self._tokenizer.decode(self._window)
        return piece

    def feed_all(self, ids: Sequence[int]) -> str:
        """The same as feeding token by token and flushing, in one go."""
        text = self._tokenizer.decode([*self._window, *ids])
        if _INCOMPLETE in text:
            return "".join(self.feed([id]) for id in ids) + self.flush()
        return text[len(self._before) :]

    def flush(self) -> str:
        """The whole characters held back behind an incomplete one, when no more tokens will come."""
        text = self._tokenizer.decode(self._window)
        return text[len(self._before) :].rstrip(_INCOMPLETE)
