"""The map, the folders and the words about them agree; every setting, command and variable is documented."""

from __future__ import annotations

import ast
import configparser
import re
from pathlib import Path

import click
import pytest
from importlinter.application.use_cases import SUCCESS, lint_imports
from importlinter.configuration import configure

from saker import settings
from saker.cli.root import root
from saker.core.errors import BY_NAME, SakerError
from saker.serving.container import MODEL_VARIABLES
from support.environment import ROOT
from support.markdown import pages

PACKAGE = ROOT / "src" / "saker"
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = ROOT / "docs" / "reference"

TABLE = dict(re.findall(r"^\| `([\w.]+)/?` \| (.+) \|$", ARCHITECTURE, re.MULTILINE))
"""The rooms of ARCHITECTURE.md with their jobs."""


def _job(room: str) -> str:
    """The first paragraph of a room's docstring."""
    path = PACKAGE / room if room.endswith(".py") else PACKAGE / room / "__init__.py"
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n\n")[0]


def test_the_map_shows_every_room() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.name for path in PACKAGE.glob("[!_]*.py")}

    assert set(TABLE) == folders | modules


@pytest.mark.parametrize("room", TABLE)
def test_the_map_and_the_docstring_say_the_same_of_a_room(room: str) -> None:
    assert TABLE[room] == _job(room)


def test_the_readme_shows_the_rooms_as_the_map_does() -> None:
    tree = dict(re.findall(r"^  ([\w.]+)/? +(.+)$", README, re.MULTILINE))

    assert list(TABLE) == list(tree)
    assert [] == [room for room in TABLE if not TABLE[room].startswith(tree[room])]


def test_the_map_shows_the_layers_of_the_import_contract() -> None:
    contract = configparser.ConfigParser()
    contract.read(ROOT / ".importlinter")
    layers = contract["importlinter:contract:one-direction"]["layers"].split("\n")

    (shown,) = re.findall(r"^```text\n(cli\n.*?)^```", ARCHITECTURE, re.MULTILINE | re.DOTALL)

    assert [line for line in layers if line] == shown.splitlines()


def test_rooms_import_only_what_lies_below_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `lint-imports` checks."""
    monkeypatch.chdir(ROOT)
    configure()

    result = lint_imports(cache_dir=None)

    assert SUCCESS == result, capsys.readouterr().out


def test_every_setting_is_documented() -> None:
    page = (REFERENCE / "settings.md").read_text(encoding="utf-8")

    assert [] == [name for name in settings.names() if f"| `{name}` | `SAKER_{name.upper()}` |" not in page]


def test_every_variable_of_a_container_is_documented() -> None:
    page = (REFERENCE / "container-environment.md").read_text(encoding="utf-8")

    assert [] == [name for name in MODEL_VARIABLES if f"| `{name}` |" not in page]


def test_every_kind_of_error_is_documented() -> None:
    page = (REFERENCE / "errors.md").read_text(encoding="utf-8")

    assert [] == [name for name in BY_NAME if f"`{name}`" not in page]


def test_errors_that_cross_a_process_border_are_all_errors_there_are() -> None:
    def below(cls: type[SakerError]) -> set[str]:
        return {cls.__name__}.union(*(below(sub) for sub in cls.__subclasses__()))

    assert set(BY_NAME) == below(SakerError) - {"SakerError"}


def _commands(group: click.Group, path: str) -> dict[str, click.Command]:
    """Every command below a group, by its words."""
    context = click.Context(group)
    found: dict[str, click.Command] = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found[f"{path} {name}"] = command
        if isinstance(command, click.Group):
            found |= _commands(command, f"{path} {name}")
    return found


COMMANDS = _commands(root, "saker")


def test_every_command_is_documented() -> None:
    headings = re.findall(r"^#+ (saker .+)$", (REFERENCE / "cli.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert list(COMMANDS) == headings


def _mentions(text: str) -> set[str]:
    """The commands that a text tells people to run, as far as their words go."""
    found = set()
    for first, second in re.findall(r"(?<!from )(?<![\w/.-])saker ([a-z]+)(?: ([a-z]+))?", text):
        command = COMMANDS.get(f"saker {first}")
        is_group = isinstance(command, click.Group)
        found.add(f"saker {first} {second}" if is_group and second else f"saker {first}")
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_messages_name_commands_that_exist(path: Path) -> None:
    assert set() == _mentions(path.read_text(encoding="utf-8")) - set(COMMANDS)


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_name_commands_that_exist(path: Path) -> None:
    code = re.findall(r"`([^`\n]+)`|^(?:\$ )?(\w.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    mentioned = _mentions("\n".join(inline for inline, _ in code if inline.startswith("saker ")))

    assert set() == mentioned - set(COMMANDS)
