"""Exit codes, and what is shown of errors."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import click
import pytest

from saker.cli.root import root
from saker.cli.run import run
from saker.core.errors import Conflict
from support.command_line import run_here, run_process


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """A command `version` that raises what the list holds."""
    raised: list[BaseException] = []

    @click.command("version")
    def command() -> None:
        if raised:
            raise raised[0]

    import saker.cli.version

    monkeypatch.setattr(saker.cli.version, "command", command)
    return raised


def test_an_error_is_shown_in_three_parts(probe: list[BaseException]) -> None:
    probe.append(Conflict("It is taken.", why="Someone has it.", fix="Ask them."))
    outcome = run_here("version")

    assert outcome.code == 1
    assert outcome.out == ""
    assert outcome.err == "Error: It is taken.\n  Why: Someone has it.\n  Fix: Ask them.\n"


def test_parts_that_an_error_has_not_are_left_out(probe: list[BaseException]) -> None:
    probe.append(Conflict("It is taken."))

    assert run_here("version").err == "Error: It is taken.\n"


def test_a_fault_is_shown_without_its_traceback_and_says_how_to_see_it(probe: list[BaseException]) -> None:
    probe.append(KeyError("lost"))
    outcome = run_here("version")

    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    assert "KeyError: 'lost'" in outcome.err
    assert "--debug" in outcome.err


def test_debug_shows_the_traceback(probe: list[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    probe.append(KeyError("lost"))

    assert "Traceback" in run_here("--debug", "version").err
    monkeypatch.setenv("SAKER_LOG_LEVEL", "debug")
    assert "Traceback" in run_here("version").err


def test_an_interrupt_is_quiet(probe: list[BaseException]) -> None:
    probe.append(KeyboardInterrupt())
    outcome = run_here("version")

    assert outcome.code == 130
    assert outcome.err.strip() == ""


def test_a_question_that_nobody_answers_does_nothing(probe: list[BaseException]) -> None:
    probe.append(EOFError())
    outcome = run_here("version")

    assert outcome.code == 1
    assert outcome.err.strip() == "Nothing was done."


def test_a_reader_that_leaves_early_is_no_error() -> None:
    import subprocess

    script = f"{sys.executable} -m saker settings --json | head -c 1; echo ${{PIPESTATUS[0]}} >&2"
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=True)

    assert result.stdout == "["
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr


def test_a_setting_that_means_nothing_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    outcome = run_process("status", "--home", tmp_path, environ={"SAKER_PROT": "1"})

    assert outcome.code == 1
    assert outcome.err.startswith("Error: Unknown setting 'SAKER_PROT' in the environment.")
    assert "Did you mean 'SAKER_PORT'?" in outcome.err


def test_colours_are_for_terminals_without_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    from saker.cli.report import uses_colour

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert uses_colour(Terminal())
    assert not uses_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not uses_colour(Terminal())


def test_options_of_the_platform_may_stand_before_and_after_the_command(tmp_path: Path) -> None:
    before = run_here("--home", tmp_path, "settings", "--json")
    after = run_here("settings", "show", "--home", tmp_path, "--json")
    between = run_here("settings", "--home", tmp_path, "--json")

    assert str(tmp_path) in before.out
    assert before.out == after.out == between.out


def test_the_run_leaves_the_tree_as_it_was() -> None:
    run(["version"])

    assert isinstance(root.get_command(click.Context(root), "version"), click.Command)
