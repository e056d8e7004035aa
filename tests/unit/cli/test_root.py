"""The command tree."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from saker.cli.root import SECTIONS, root
from support.command_line import run_here, run_process

HEAVY = ("botocore", "rich", "sqlalchemy", "msgspec", "numpy", "uvicorn", "saker.app", "saker.doors", "saker.settings")
"""What no help text may import: each would take a good part of its 150 ms."""


def commands(context: click.Context) -> Iterator[tuple[str, ...]]:
    """The names on the way to every command."""
    group = context.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (name,)
        for rest in commands(click.Context(command, info_name=name)):
            yield (name, *rest)


def imported_by(*arguments: str) -> set[str]:
    """The modules that a command line imports, in a process of its own."""
    script = "import sys; from saker.cli.run import run; run(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", script, *arguments]
    return set(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stderr.split())


COMMANDS = list(commands(click.Context(root, info_name="saker")))


@pytest.mark.parametrize("path", [(), *COMMANDS], ids=" ".join)
def test_every_command_has_a_help_text(path: tuple[str, ...]) -> None:
    outcome = run_here(*path, "--help")

    assert outcome.code == 0
    assert outcome.out.startswith(f"Usage: {' '.join(('saker', *path))}")
    assert outcome.out == run_here(*path, "-h").out


@pytest.mark.parametrize(("name", "text"), [item for section in SECTIONS.values() for item in section.items()])
def test_the_table_says_of_a_command_what_its_own_help_says_first(name: str, text: str) -> None:
    command = root.get_command(click.Context(root), name)

    assert command is not None
    assert " ".join((command.help or "").split()).startswith(text.rstrip("."))


@pytest.mark.parametrize("path", [(), *((name,) for section in SECTIONS.values() for name in section)], ids=" ".join)
def test_help_imports_nothing_heavy(path: tuple[str, ...]) -> None:
    assert not set(HEAVY) & imported_by(*path, "--help")


def test_the_help_of_the_root_imports_no_command() -> None:
    names = {f"saker.cli.{name}" for section in SECTIONS.values() for name in section}

    assert not names & imported_by("--help")


def test_no_arguments_show_the_help() -> None:
    outcome = run_here()

    assert outcome.code == 2
    assert "Usage: saker" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["endpoint"], "'saker' has no command 'endpoint'. Did you mean 'endpoints'?"),
        (["endpoints", "describ"], "'saker endpoints' has no command 'describ'. Did you mean 'describe'?"),
        (["xyzzy"], "'saker' has no command 'xyzzy'."),
        (["deploy", "m", "--engien", "fake"], "--engine"),
        (["endpoints", "--jsn"], "--json"),
    ],
)
def test_a_typo_is_answered_with_the_nearest_name(arguments: list[str], hint: str) -> None:
    outcome = run_here(*arguments)

    assert outcome.code == 2
    assert hint in outcome.err


def test_the_version_is_printed() -> None:
    import saker

    assert run_here("version").out == f"saker {saker.__version__}\n"
    assert run_process("version").out == f"saker {saker.__version__}\n"


def test_the_shell_completes_commands_and_verbs() -> None:
    def complete(words: str, at: int) -> str:
        request = {"_SAKER_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(at)}
        return run_process(environ=request).out

    assert complete("saker endp", 1) == "plain,endpoints\n"
    assert complete("saker endpoints sc", 2) == "plain,scale\n"


def test_python_m_saker_is_the_command() -> None:
    outcome = run_process("nonsense", environ={"PYTHONPATH": os.environ.get("PYTHONPATH", "")})

    assert outcome.code == 2
    assert outcome.err.startswith("Usage: saker ")
