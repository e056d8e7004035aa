"""saker chat"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from saker.cli.options import endpoint_argument, platform_options

if TYPE_CHECKING:
    from collections.abc import Generator

    from saker.cli.client import Client
    from saker.settings import Settings

HELP = "Commands: /reset forgets the conversation, /exit or Ctrl-D ends. Ctrl-C stops an answer."
DONE = "[DONE]"


@click.command()
@endpoint_argument
@click.option("--system", help="Instructions that stand before the conversation.")
@click.option("--max-tokens", type=int, help="The longest answer, in tokens.")
@click.option("--temperature", type=float, help="0 takes the likeliest tokens. Default: 1.")
@click.option("--top-p", type=float, help="Draw from the likeliest tokens that make up this share.")
@click.option("--seed", type=int, help="The same seed draws the same answers.")
@platform_options
def command(settings: Settings, /, name: str, system: str | None, **given: Any) -> None:
    """Talk with a model.

    Line by line, with the one behind endpoint NAME.
    Ctrl-C stops the answer that is being written, Ctrl-D or /exit ends, /reset forgets what was said.
    Lines may come through a pipe: each is one turn.
    """
    from saker.cli.client import Client

    client = Client(settings)
    client.call("GET", f"/v1/models/{quote(name, safe='')}")  # a wrong name is told before the first line is typed
    parameters = {key: value for key, value in given.items() if value is not None}
    conversation = Conversation(client, name, system, parameters)
    if sys.stdin.isatty():
        click.echo(HELP, err=True)
        _talk(conversation)
    else:
        for line in sys.stdin:
            if not _turn(conversation, line.strip()):
                return


@dataclass
class Conversation:
    """What was said so far, and with whom."""

    client: Client
    endpoint: str
    system: str | None
    parameters: dict[str, Any]
    turns: list[dict[str, str]] = field(default_factory=list)

    def ask(self, text: str) -> Generator[str]:
        """The answer in parts. Closing the iterator stops the model; what it has written by then is kept.

        Raises:
            SakerError: The question was refused, or the answer broke off; the question is forgotten.
        """
        self.turns.append({"role": "user", "content": text})
        parts: list[str] = []
        try:
            for part in self._parts():
                parts.append(part)
                yield part
        except Exception:
            self.turns.pop()
            raise
        finally:
            if parts and self.turns[-1:] == [{"role": "user", "content": text}]:
                self.turns.append({"role": "assistant", "content": "".join(parts)})

    def reset(self) -> None:
        """Forget what was said."""
        self.turns.clear()

    def _parts(self) -> Iterator[str]:
        from saker.core.errors import EngineFailure

        first = [{"role": "system", "content": self.system}] if self.system else []
        body = {"model": self.endpoint, "messages": [*first, *self.turns], "stream": True, **self.parameters}
        timeout_s = self.client.settings.invoke_timeout_s
        with closing(self.client.stream("/v1/chat/completions", body, timeout_s=timeout_s)) as events:
            for event in events:
                if event == DONE:
                    return
                chunk = json.loads(event)
                if "error" in chunk:
                    raise EngineFailure(chunk["error"]["message"])
                for choice in chunk["choices"]:
                    yield choice["delta"].get("content") or ""
        raise EngineFailure("The answer broke off.", fix="The platform's log tells why.")


def _talk(conversation: Conversation) -> None:
    """Ask and answer in a terminal, until the person ends it. An error ends the turn, not the conversation."""
    import readline  # noqa: F401  # importing it gives input() editing and history

    from saker.cli.report import show_error
    from saker.core.errors import SakerError

    while True:
        try:
            line = input("> ").strip()
        except KeyboardInterrupt:  # drops the line, as shells do
            click.echo()
            continue
        except EOFError:
            click.echo()
            return
        try:
            if not _turn(conversation, line):
                return
        except SakerError as error:
            show_error(error)


def _turn(conversation: Conversation, line: str) -> bool:
    """Do what one line asks for; False when it ends the conversation."""
    from saker.cli import output

    if line in ("/exit", "/quit"):
        return False
    if line == "/reset":
        conversation.reset()
        click.echo("The conversation is forgotten.", err=True)
    elif line in ("/help", "/?"):
        click.echo(HELP, err=True)
    elif line:
        answer = conversation.ask(line)
        try:
            for part in answer:
                click.echo(output.printable(part), nl=False)
        except KeyboardInterrupt:
            if not sys.stdin.isatty():
                raise
        finally:
            answer.close()
        click.echo()
    return True
