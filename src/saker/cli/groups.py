"""Groups of commands: imported when called, with the nearest name for a wrong one."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import click

Section = Mapping[str, str]
"""Command names with their short help."""


class Group(click.Group):
    """A noun with its verbs. Without a verb it runs its default: `saker endpoints` is `saker endpoints list`."""

    def __init__(self, *args: Any, default: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default verb in where none is given."""
        is_verbless = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        if self._default and is_verbless and not ctx.resilient_parsing:  # completion offers the verbs
            args = [self._default, *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name.

        Raises:
            UsageError: There is none; names the nearest.
        """
        name = args[0]
        if not name.startswith("-") and not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            from saker.core.suggest import nearest  # difflib: not before it is needed

            near = nearest(name, self.list_commands(ctx))
            hint = f" Did you mean {near!r}?" if near else ""
            ctx.fail(f"{ctx.command_path!r} has no command {name!r}.{hint}")
        return super().resolve_command(ctx, args)


class LazyGroup(Group):
    """A group whose commands are imported when they are called; its help imports none of them.

    The module of command `name` is `<package>.<name>`, and holds it as `command`.
    """

    def __init__(self, *args: Any, package: str, sections: Mapping[str, Section], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._package = package
        self.sections = sections

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every name, in the order of the help."""
        return [name for section in self.sections.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported; None when there is none of that name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"{self._package}.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section, from the table alone."""
        for title, section in self.sections.items():
            with formatter.section(title):
                formatter.write_dl(_aligned(list(section.items()), self.list_commands(ctx)))


def _aligned(rows: Sequence[tuple[str, str]], names: Sequence[str]) -> list[tuple[str, str]]:
    """The rows with names padded alike, so that all sections line up."""
    width = max(map(len, names))
    return [(name.ljust(width), text) for name, text in rows]
