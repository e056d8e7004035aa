"""saker settings"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saker.settings import names
from support.command_line import run_here


def test_every_setting_is_shown_with_value_source_and_meaning(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("max_queue = 7\n")
    rows = {row["name"]: row for row in json.loads(run_here("settings", "--home", tmp_path, "--json").out)}

    assert list(rows) == names()
    assert (rows["max_queue"]["value"], rows["max_queue"]["source"]) == (7, str(tmp_path / "settings.toml"))
    assert rows["home"]["source"] == "command line"
    assert rows["port"]["source"] == "default"
    assert all(row["help"] for row in rows.values())


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_secrets_are_stars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_json: tuple[str, ...]) -> None:
    monkeypatch.setenv("SAKER_HF_TOKEN", "hf_very_secret")
    outcome = run_here("settings", "--home", tmp_path, *as_json)

    assert "**********" in outcome.out
    assert "hf_very_secret" not in outcome.out + outcome.err


def test_a_setting_of_the_wrong_kind_is_refused_with_where_it_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAKER_MAX_QUEUE", "many")
    outcome = run_here("settings", "--home", tmp_path)

    assert outcome.code == 1
    assert "Setting 'max_queue' is 'many' (from environment SAKER_MAX_QUEUE)." in outcome.err
