"""How results look."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from saker.cli import output


def test_a_table_in_a_pipe_is_plain_and_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_table(("NAME", "STATE"), [("a" * 200, "ready"), ("b[red]", "x")], empty="")
    lines = capsys.readouterr().out.splitlines()

    assert lines[1] == "a" * 200 + "  ready"
    assert lines[2].split() == ["b[red]", "x"]


def test_an_empty_table_says_so_beside_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_table(("NAME",), [], empty="No endpoints.")
    shown = capsys.readouterr()

    assert shown.out == ""
    assert shown.err == "No endpoints.\n"


def test_json_knows_times_and_paths(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_json({"at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "path": Path("/a")})

    assert json.loads(capsys.readouterr().out) == {"at": "2026-01-02T03:04:05Z", "path": "/a"}


def test_fields_that_are_none_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_fields({"Name": "demo", "Reason": None, "Is it": True})

    assert capsys.readouterr().out == "Name   demo\nIs it  yes\n"


def test_what_a_model_writes_cannot_steer_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    text = "a\x1b[2Jb\tc\nd\x9b"
    piped = output.printable(text)
    monkeypatch.setattr("sys.stdout", Terminal())

    assert output.printable(text) == "a[2Jb\tc\nd"
    assert piped == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3_725, "1 h 2 min"), (86_400, "1 d")]
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert text == output.duration(seconds)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 1024**4, "5120.0 GiB")]
)
def test_sizes_have_the_unit_that_fits(count: int, text: str) -> None:
    assert text == output.size(count)
