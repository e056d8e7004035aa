"""Where settings come from, and what is refused."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest

from saker import settings
from saker.core.errors import InvalidInput
from saker.serving import container
from saker.settings import Secret, Settings, load, names


def load_from(folder: Path, file: str = "", environ: dict[str, str] | None = None, **overrides: Any) -> Settings:
    if file:
        (folder / "settings.toml").write_text(file)
    return load(overrides, {"SAKER_HOME": str(folder)} | (environ or {}))


# Precedence and sources


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    found = load_from(tmp_path)

    assert found.port == 8750
    assert found.sources["port"] == "default"
    assert set(names()) == set(found.sources)


def test_the_file_wins_over_the_default(tmp_path: Path) -> None:
    found = load_from(tmp_path, "port = 1")

    assert found.port == 1
    assert found.sources["port"] == str(tmp_path / "settings.toml")


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    found = load_from(tmp_path, "port = 1", {"SAKER_PORT": "2"})

    assert found.port == 2
    assert found.sources["port"] == "environment SAKER_PORT"


def test_the_command_line_wins_over_the_environment(tmp_path: Path) -> None:
    found = load_from(tmp_path, "port = 1", {"SAKER_PORT": "2"}, port=3)

    assert found.port == 3
    assert found.sources["port"] == "command line"


def test_what_the_command_line_leaves_out_does_not_count(tmp_path: Path) -> None:
    assert load_from(tmp_path, "", {"SAKER_PORT": "2"}, port=None).port == 2


def test_an_empty_variable_does_not_count(tmp_path: Path) -> None:
    assert load_from(tmp_path, "port = 1", {"SAKER_PORT": ""}).port == 1


def test_the_home_of_the_command_line_is_the_one_whose_file_is_read(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "settings.toml").write_text("port = 7")

    found = load_from(tmp_path, "port = 1", home=str(other))

    assert (other, 7) == (found.home, found.port)


def test_the_home_is_absolute_and_its_tilde_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    assert load({}, {}).home == tmp_path / ".saker"
    assert load({}, {"SAKER_HOME": "here"}).home == tmp_path / "here"


def test_names_that_other_tools_use_count_less_than_sakers_own(tmp_path: Path) -> None:
    found = load_from(tmp_path, environ={"HF_TOKEN": "theirs"})
    both = load_from(tmp_path, environ={"HF_TOKEN": "theirs", "SAKER_HF_TOKEN": "ours"})

    assert found.hf_token.reveal() == "theirs"
    assert found.sources["hf_token"] == "environment HF_TOKEN"
    assert both.hf_token.reveal() == "ours"


def test_without_arguments_the_environment_of_the_process_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SAKER_HOME", str(tmp_path))
    monkeypatch.setenv("SAKER_PORT", "4")

    assert load().port == 4


# Names


def test_an_unknown_variable_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"'SAKER_PROT'.*Did you mean 'SAKER_PORT'\?"):
        load_from(tmp_path, environ={"SAKER_PROT": "1"})


def test_an_unknown_name_in_the_file_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"'prot' in '.*settings\.toml'.*Did you mean 'port'\?"):
        load_from(tmp_path, "prot = 1")


def test_an_unknown_name_from_the_command_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"'prot'.*Did you mean 'port'\?"):
        load_from(tmp_path, prot=1)


def test_the_home_cannot_be_set_in_the_file_that_is_found_through_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="Set SAKER_HOME"):
        load_from(tmp_path, 'home = "/elsewhere"')


def test_the_sources_cannot_be_set(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="sources"):
        load_from(tmp_path, sources={})


@pytest.mark.parametrize("content", [b"port = ", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "settings.toml").write_bytes(content)

    with pytest.raises(InvalidInput, match=r"settings\.toml' cannot be read"):
        load_from(tmp_path)


# Values


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", -1),
        ("port", 65536),
        ("account_id", "12345678901"),  # 11 digits
        ("account_id", "12345678901x"),
        ("account_id", "٠" * 12),  # digits, but not of this alphabet
        ("max_body_bytes", 0),
        ("hold_s", -0.1),
        ("hold_s", "nan"),
        ("memory_limit_ratio", 0),
        ("memory_limit_ratio", 1.01),
        ("log_level", "loud"),
        ("weight_format", "int3"),
        ("precision", "fp64"),
        ("engine", "vroom"),
    ],
)
def test_a_value_outside_its_range_is_refused_with_its_source_and_the_rule(
    tmp_path: Path, name: str, value: object
) -> None:
    with pytest.raises(InvalidInput, match=rf"Setting '{name}' is .*\(from command line\)\. It must be ."):
        load_from(tmp_path, "", None, **{name: value})


@pytest.mark.parametrize(
    "line",
    [
        'port = "many"',
        "port = 8750.5",  # rounding would listen somewhere else
        "port = inf",
        "port = true",
        "host = [1]",
        "hold_s = {}",
        'demo = "perhaps"',
        "engines_home = true",
        "engines_home = []",
        "log_level = 1979-05-27",
    ],
)
def test_a_value_of_another_type_is_refused_with_its_source(tmp_path: Path, line: str) -> None:
    name = line.partition(" ")[0]

    with pytest.raises(InvalidInput, match=rf"Setting '{name}' is .*settings\.toml\)\. It must be"):
        load_from(tmp_path, line)


@pytest.mark.parametrize(
    ("text", "expected"), [("1", True), ("TRUE", True), ("on", True), ("0", False), ("No", False), ("off", False)]
)
def test_a_switch_takes_the_usual_words(tmp_path: Path, text: str, expected: bool) -> None:
    assert expected is load_from(tmp_path, environ={"SAKER_DEMO": text}).demo


def test_whole_numbers_in_the_file_serve_as_text_and_as_seconds(tmp_path: Path) -> None:
    found = load_from(tmp_path, "account_id = 123456789012\nhold_s = 5")

    assert found.account_id == "123456789012"
    assert found.hold_s == 5.0


@pytest.mark.parametrize("entry", dataclasses.fields(Settings), ids=lambda entry: entry.name)
def test_every_default_keeps_its_own_rule_and_is_explained(entry: dataclasses.Field[Any]) -> None:
    if entry.name == "sources":
        return
    check = entry.metadata["check"]

    assert entry.metadata["help"].endswith(".")
    assert check is None or check(entry.default)
    assert check is None or entry.metadata["rule"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("engine", container.ENGINES),
        ("weight_format", container.WEIGHT_FORMATS),
        ("precision", container.PRECISIONS),
    ],
)
def test_a_setting_takes_the_same_words_as_a_container(tmp_path: Path, name: str, words: tuple[str, ...]) -> None:
    assert list(words) == [getattr(load_from(tmp_path, "", None, **{name: word}), name) for word in words]


# What is derived


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # an address to listen on, not to go to
        ("::", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("box.lan", "http://box.lan:80"),
    ],
)
def test_the_url_is_one_that_clients_on_this_machine_reach(host: str, expected: str) -> None:
    assert expected == Settings(host=host, port=80).url


def test_engine_environments_live_in_the_data_folder_unless_told_otherwise(tmp_path: Path) -> None:
    assert load_from(tmp_path).engines_folder == tmp_path / "engines"
    assert load_from(tmp_path, engines_home="/srv/engines").engines_folder == Path("/srv/engines")


# Secrets


def test_a_secret_shows_in_no_kind_of_text() -> None:
    secret = Secret("hunter2")

    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!s:>40}",
        "{}".format(secret),  # noqa: UP032  # another way to the text
        "%s" % secret,  # noqa: UP031  # what logging does
        json.dumps({"token": secret}, default=str),
        repr([secret]),
        repr(Settings(hf_token=secret)),
        str(dataclasses.asdict(Settings(hf_token=secret))),
    ]

    assert not [text for text in shown if "hunter2" in text]
    assert secret.reveal() == "hunter2"


def test_a_secret_cannot_slip_into_text_as_text_does() -> None:
    secret: Any = Secret("hunter2")

    with pytest.raises(TypeError):
        "".join([secret])
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)
    with pytest.raises(TypeError):
        "Bearer " + secret


def test_a_secret_stays_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("saker").error("token %s %r", Secret("hunter2"), Secret("hunter2"))

    assert "hunter2" not in caplog.text


def test_secrets_compare_and_copy_by_their_text() -> None:
    secret = Secret("hunter2")

    assert secret == Secret("hunter2")
    assert secret != Secret("other")
    assert secret != "hunter2"
    assert hash(secret) == hash(Secret("hunter2"))
    assert secret == copy.deepcopy(secret)
    assert not Secret("")


def test_a_secret_of_the_wrong_type_is_refused_without_being_shown(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_from(tmp_path, 'hf_token = ["hunter2"]')

    assert "hf_token" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_every_alias_is_of_a_setting() -> None:
    assert set(settings.ALIASES) <= set(names())
