"""Lays out a conversation with the model's own chat template, as transformers does.

Templates come with the model, from strangers: they run in Jinja's sandbox, which bars them from everything but text.

Source: https://huggingface.co/docs/transformers/chat_templating
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox

from saker.core.errors import InvalidInput, Unsupported
from saker.engine.config import read_json
from saker.engine.messages import Message

_TOKEN_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class _GenerationBlock(jinja2.ext.Extension):
    """Accepts `{% generation %}`, which marks the assistant's words for training and here means nothing."""

    tags = {"generation"}  # noqa: RUF012 — Jinja's own interface

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """A compiled chat template with the special tokens it may name."""

    def __init__(self, source: str, special_tokens: Mapping[str, str]) -> None:
        """
        Raises:
            Unsupported: The template is not valid Jinja.
        """
        self._special_tokens = dict(special_tokens)
        try:
            self._template = _environment().from_string(source)
        except jinja2.TemplateSyntaxError as error:
            raise Unsupported(
                "The model's chat template cannot be used.",
                why=f"Line {error.lineno}: {error.message}.",
                fix="Deploy with a chat template of your own.",
            ) from error

    @classmethod
    def from_folder(cls, folder: Path, own: str | None = None) -> ChatTemplate | None:
        """The template of the model in a folder, or `own` in its place; None where there is neither.

        Raises:
            Unsupported: The template is not valid Jinja.
        """
        config = read_json(folder / "tokenizer_config.json")
        source = own or _find_source(folder, config)
        if source is None:
            return None
        return cls(source, read_special_tokens(folder))

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt, ending where the assistant's turn begins. Special tokens are part of it already.

        Raises:
            InvalidInput: The template refuses the conversation, for instance for its order of roles.
        """
        try:
            return self._template.render(
                messages=[{"role": message.role, "content": message.content} for message in messages],
                tools=None,
                documents=None,
                add_generation_prompt=True,
                **self._special_tokens,
            )
        except jinja2.TemplateError as error:
            raise InvalidInput(
                "The model's chat template refuses this conversation.", why=(error.message or "")[:200]
            ) from error
        except (TypeError, ValueError, LookupError, ArithmeticError) as error:
            raise InvalidInput(
                "The model's chat template cannot lay out this conversation.",
                why=f"It fails with {type(error).__name__}.",
            ) from error


def read_special_tokens(folder: Path) -> dict[str, str]:
    """The texts of the special tokens by their names: {"bos_token": "<s>", …}."""
    found: dict[str, str] = {}
    for file in ("special_tokens_map.json", "tokenizer_config.json"):  # the latter wins
        config = read_json(folder / file)
        for name in _TOKEN_NAMES:
            token = config.get(name)
            text = token.get("content") if isinstance(token, dict) else token
            if isinstance(text, str):
                found[name] = text
    return found


def _find_source(folder: Path, config: dict[str, Any]) -> str | None:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    found = config.get("chat_template")
    if isinstance(found, list):  # several templates by name; the others are for tools or retrieval
        found = {entry["name"]: entry["template"] for entry in found}.get("default")
    return found if isinstance(found, str) else None


def _environment() -> jinja2.Environment:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationBlock, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    functions: dict[str, Callable[..., Any]] = {"raise_exception": _raise, "strftime_now": _strftime_now}
    environment.globals.update(functions)
    return environment


def _raise(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON without Jinja's escaping for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _strftime_now(format: str) -> str:
    return datetime.now().astimezone().strftime(format)
