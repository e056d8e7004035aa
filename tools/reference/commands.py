"""The page about the command line, from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from reference.markdown import page, table
from saker.cli.root import root

SHARED = frozenset({"--home", "--port", "--debug"})
"""What every command takes."""


def commands_page() -> str:
    """Every command with its options."""
    top = click.Context(root, info_name="saker", **root.context_settings)
    shared = [_cells(option, top) for option in _options(top) if SHARED & set(option.opts)]
    return page(
        "Commands",
        "The exit code is 0 when a command did what was asked, 1 when it failed, 2 when the command line is wrong,",
        "and 130 when it was interrupted.",
        "Results go to standard output, progress and errors to standard error.",
        "Every command takes these options, anywhere on the line:",
        "",
        *table(("option", "meaning"), [*shared, ("`--help, -h`", "Show the command's help.")]),
        *(line for context in _below(top) for line in _describe(context)),
    )


def _below(context: click.Context) -> Iterator[click.Context]:
    """Every command below a group, in the order of its help."""
    group = context.command
    assert isinstance(group, click.Group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None  # it has just been listed
        inner = click.Context(command, info_name=name, parent=context)
        yield inner
        if isinstance(command, click.Group):
            yield from _below(inner)


def _describe(context: click.Context) -> list[str]:
    command, path = context.command, context.command_path
    options = [_cells(option, context) for option in _options(context) if not SHARED & set(option.opts)]
    return [
        "",
        f"{'#' * len(path.split())} {path}",
        "",
        f"`{' '.join([path, *command.collect_usage_pieces(context)])}`",
        "",
        *_help_lines(inspect.cleandoc(command.help or "")),
        *(["", *table(("option", "meaning"), options)] if options else []),
    ]


def _options(context: click.Context) -> list[click.Option]:
    """The command's options, without --help."""
    return [option for option in context.command.params if isinstance(option, click.Option)]


def _help_lines(text: str) -> Iterator[str]:
    """The paragraphs of a help text; those that click does not wrap (after a backspace) are examples."""
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ""
        if paragraph.startswith("\b\n"):
            yield from ("```text", *paragraph.splitlines()[1:], "```")
        else:
            yield from paragraph.splitlines()


def _cells(option: click.Option, context: click.Context) -> tuple[str, str]:
    names = " / ".join(filter(None, (", ".join(option.opts), ", ".join(option.secondary_opts))))
    value = "" if option.is_flag else f" {option.make_metavar(context).removesuffix(' RANGE')}"
    default = f" Default: {option.default}." if option.show_default else ""
    return f"`{names}{value}`", f"{option.help}{default}"
