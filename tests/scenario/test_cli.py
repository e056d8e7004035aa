"""The `saker` command as a client of a running platform."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.command_line import Outcome, clean_environment, run_here
from support.live import LivePlatform, deploy, write_fake_model
from support.terminal import CTRL_C, CTRL_D, Terminal

Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def saker(live: LivePlatform) -> Run:
    """Runs a command line against the running platform."""

    def run(*arguments: object, stdin: str | bytes = b"") -> Outcome:
        return run_here("--home", live.settings.home, "--port", live.settings.port, *arguments, stdin=stdin)

    return run


@pytest.fixture(scope="module")
def echo(live: LivePlatform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An endpoint that repeats its prompt."""
    deploy(live.client("sagemaker"), "cli-echo", write_fake_model(tmp_path_factory.mktemp("echo")))
    yield "cli-echo"
    live.client("sagemaker").delete_endpoint(EndpointName="cli-echo")


@pytest.fixture(scope="module")
def slow(live: LivePlatform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An endpoint that takes a minute for an answer of many words."""
    words = [f"w{number}" for number in range(1200)]
    model = write_fake_model(tmp_path_factory.mktemp("slow"), words=words, delay_s=0.05)
    deploy(live.client("sagemaker"), "cli-slow", model)
    yield "cli-slow"
    live.client("sagemaker").delete_endpoint(EndpointName="cli-slow")


def terminal(live: LivePlatform, *arguments: str) -> Terminal:
    """A command line in a terminal."""
    home = ["--home", str(live.settings.home), "--port", str(live.settings.port)]
    return Terminal([sys.executable, "-m", "saker", *home, *arguments], clean_environment())


def resources(live: LivePlatform) -> tuple[set[str], set[str], set[str]]:
    """The names of all models, configurations and endpoints."""
    client = live.client("sagemaker")
    return (
        {row["ModelName"] for page in client.get_paginator("list_models").paginate() for row in page["Models"]},
        {
            row["EndpointConfigName"]
            for page in client.get_paginator("list_endpoint_configs").paginate()
            for row in page["EndpointConfigs"]
        },
        {
            row["EndpointName"]
            for page in client.get_paginator("list_endpoints").paginate()
            for row in page["Endpoints"]
        },
    )


# deploy


def test_a_model_is_deployed_asked_updated_and_deleted(live: LivePlatform, saker: Run, tmp_path: Path) -> None:
    """Nothing stays behind: an update takes its predecessor along, and the deletion all the rest."""
    before = resources(live)
    first = saker("deploy", write_fake_model(tmp_path / "one"), "--endpoint", "cli-life")
    second = saker("deploy", write_fake_model(tmp_path / "two", words=["two"]), "--endpoint", "cli-life", "--update")
    models, configs, endpoints = resources(live)
    answer = saker("invoke", "cli-life", "one")
    deleted = saker("endpoints", "delete", "cli-life", "--yes")

    assert first.code == 0, first.err
    assert 'saker invoke cli-life "Once upon a time"' in first.out
    assert "aws sagemaker-runtime invoke-endpoint --endpoint-name cli-life" in first.out
    assert "in service" in first.err
    assert second.code == 0, second.err
    assert answer.out.strip() == "two"
    assert [len(models - before[0]), len(configs - before[1]), len(endpoints - before[2])] == [1, 1, 1]
    assert deleted.code == 0
    assert resources(live) == before


def test_a_failed_deployment_shows_its_reason_and_leaves_nothing(
    live: LivePlatform, saker: Run, tmp_path: Path
) -> None:
    before = resources(live)
    outcome = saker("deploy", tmp_path, "--endpoint", "cli-empty")

    assert outcome.code == 1
    assert outcome.out == ""
    assert "Error: Endpoint 'cli-empty' was not deployed." in outcome.err
    assert "'config.json' is missing" in outcome.err
    assert "Fix: Its logs: saker endpoints logs cli-empty" in outcome.err
    assert resources(live) == before
    assert "'config.json' is missing" in saker("endpoints", "logs", "cli-empty").out


def test_a_failed_update_leaves_what_was_served(live: LivePlatform, saker: Run, echo: str) -> None:
    before = resources(live)
    outcome = saker("deploy", "embedded", "--endpoint", echo, "--update", "--env", "MAX_TOTL_TOKENS=3")

    assert outcome.code == 1
    assert "was not updated; it is as it was." in outcome.err
    assert "Did you mean 'MAX_TOTAL_TOKENS'?" in outcome.err
    assert resources(live) == before
    assert saker("invoke", echo, "still here").out == "still here\n"


def test_a_step_that_is_refused_takes_back_the_ones_before(live: LivePlatform, saker: Run, tmp_path: Path) -> None:
    before = resources(live)
    outcome = saker("deploy", write_fake_model(tmp_path), "--endpoint", "cli-bad", "--instance-type", "no-instance")

    assert outcome.code == 1
    assert resources(live) == before


def test_an_existing_endpoint_is_not_replaced_unasked(saker: Run, echo: str) -> None:
    outcome = saker("deploy", "embedded", "--endpoint", echo)

    assert outcome.code == 1
    assert "--update" in outcome.err


def test_deploying_without_waiting_says_how_to_watch(live: LivePlatform, saker: Run, tmp_path: Path) -> None:
    outcome = saker("deploy", write_fake_model(tmp_path), "-e", "cli-nowait", "--no-wait")
    waited = saker("endpoints", "wait", "cli-nowait", "--timeout", 30)
    saker("endpoints", "delete", "cli-nowait", "--yes")

    assert outcome.code == 0
    assert "saker endpoints wait cli-nowait" in outcome.out
    assert waited.code == 0
    assert "in service" in waited.out


# invoke


def test_the_text_is_sent_and_the_answer_printed(saker: Run, echo: str) -> None:
    assert saker("invoke", echo, "one two three") == Outcome(0, "one two three\n", "")
    assert saker("invoke", echo, "one two three", "-n", 2).out == "one two\n"


def test_the_prompt_may_come_through_a_pipe(saker: Run, echo: str) -> None:
    assert saker("invoke", echo, stdin="from a pipe\n").out == "from a pipe\n"


@pytest.mark.parametrize(("arguments", "source"), [((), "Standard input"), (("  ",), "The text")])
def test_an_empty_prompt_is_refused(saker: Run, echo: str, arguments: tuple[str, ...], source: str) -> None:
    outcome = saker("invoke", echo, *arguments)

    assert outcome.code == 1
    assert f"Error: {source} is empty." in outcome.err


def test_bytes_that_are_no_text_are_refused(saker: Run, echo: str) -> None:
    assert "Error: Standard input is not UTF-8 text." in saker("invoke", echo, stdin=b"\xff\xfe").err


def test_a_stream_prints_the_same_text(saker: Run, echo: str) -> None:
    assert saker("invoke", echo, "one two three", "--stream").out == "one two three\n"


def test_json_is_the_response_as_it_came(saker: Run, echo: str) -> None:
    whole = saker("invoke", echo, "one two", "--json", "--details")
    events = saker("invoke", echo, "one two", "--json", "--stream")

    assert json.loads(whole.out)[0]["generated_text"] == "one two"
    assert json.loads(whole.out)[0]["details"]["finish_reason"] == "eos_token"
    assert json.loads(events.out.splitlines()[-1])["generated_text"] == "one two"


def test_parameters_reach_the_engine(saker: Run, echo: str) -> None:
    given = ("--temperature", 0.5, "--top-p", 0.9, "--top-k", 4, "--seed", 7)
    first, second = (saker("invoke", echo, "a b c d e f g", *given).out for _ in range(2))

    assert first == second
    assert saker("invoke", echo, "a b stop c", "--stop", "stop").out.split() == ["a", "b"]


@pytest.mark.parametrize("stream", ["--stream", "--no-stream"])
def test_a_wrong_parameter_is_told_in_the_platforms_words(saker: Run, echo: str, stream: str) -> None:
    outcome = saker("invoke", echo, "one", "--temperature", 0, stream)

    assert outcome.code == 1
    assert "`temperature` is 0.0; it must be strictly positive." in outcome.err


@pytest.mark.parametrize("verb", [("invoke", "cli-ecoh", "x"), ("chat", "cli-ecoh"), ("endpoints", "logs", "cli-ecoh")])
def test_a_misspelt_endpoint_is_answered_with_the_nearest(saker: Run, echo: str, verb: tuple[str, ...]) -> None:
    outcome = saker(*verb)

    assert outcome.code == 1
    assert echo in outcome.err


def test_an_interrupted_answer_ends_the_command(live: LivePlatform, slow: str) -> None:
    with terminal(live, "invoke", slow, "go") as screen:
        screen.wait_for("w3")
        screen.type(CTRL_C)

        assert screen.exit_code() == 130
        assert "Traceback" not in screen.shown


# chat


def test_lines_of_a_pipe_are_turns_of_one_conversation(saker: Run, echo: str) -> None:
    outcome = saker("chat", echo, "--temperature", 0, stdin="hello there\n\n/reset\nagain\n/exit\nnever\n")

    assert outcome.code == 0
    assert outcome.out.split() == ["hello", "there", "again"]


def test_a_refused_turn_of_a_pipe_ends_with_its_error(saker: Run, echo: str) -> None:
    outcome = saker("chat", echo, "--temperature", -1, stdin="hello\n")

    assert outcome.code == 1
    assert "temperature" in outcome.err


def test_ctrl_c_stops_the_answer_and_not_the_chat(live: LivePlatform, slow: str) -> None:
    with terminal(live, "chat", slow, "--temperature", "0") as screen:
        screen.wait_for("> ")
        screen.type("go\n")
        screen.wait_for("w3")
        screen.type(CTRL_C)
        screen.wait_for("> ", times=2)
        screen.type(CTRL_C)
        screen.wait_for("> ", times=3)
        screen.type("/help\n")
        screen.wait_for("forgets the conversation", times=2)
        screen.type(CTRL_D)

        assert screen.exit_code() == 0
        assert "w1000" not in screen.shown


def test_a_refused_turn_in_a_terminal_ends_the_turn_only(live: LivePlatform, echo: str) -> None:
    with terminal(live, "chat", echo, "--temperature", "-1") as screen:
        screen.wait_for("> ")
        screen.type("hello\n")
        screen.wait_for("Error:")
        screen.wait_for("> ", times=2)
        screen.type("/exit\n")

        assert screen.exit_code() == 0


# endpoints, models, keys


def test_endpoints_are_listed_by_default(saker: Run, echo: str) -> None:
    table = saker("endpoints")
    rows = json.loads(saker("endpoints", "list", "--json").out)

    assert table.out.splitlines()[0].split() == ["ENDPOINT", "STATUS", "CREATED", "CHANGED"]
    assert any(line.split()[:2] == [echo, "InService"] for line in table.out.splitlines())
    assert echo in {row["EndpointName"] for row in rows}


def test_an_endpoint_is_described_with_its_variants(saker: Run, echo: str) -> None:
    text = saker("endpoints", "describe", echo).out
    found = json.loads(saker("endpoints", "describe", echo, "--json").out)

    assert "AllTraffic  1 of 1" in text
    assert found["EndpointStatus"] == "InService"
    assert "ResponseMetadata" not in found


def test_logs_are_shown_by_stream_and_counted_from_the_end(saker: Run, echo: str) -> None:
    every = saker("endpoints", "logs", echo).out.splitlines()
    deployment = saker("endpoints", "logs", echo, "--replica", "deployment", "--json").out.splitlines()

    assert every[-1:] == saker("endpoints", "logs", echo, "--tail", 1).out.splitlines()
    assert saker("endpoints", "logs", echo, "--tail", 0).out == ""
    assert {json.loads(line)["logStreamName"] for line in deployment} == {"deployment"}
    assert "in service" in json.loads(deployment[-1])["message"]
    assert saker("endpoints", "logs", echo, "--replica", "nobody").code == 1


def test_logs_are_followed_until_interrupted(live: LivePlatform, saker: Run, echo: str) -> None:
    with terminal(live, "endpoints", "logs", echo, "--follow", "--replica", "deployment", "--tail", "1") as screen:
        screen.wait_for("in service")
        for count in (2, 1):
            saker("endpoints", "scale", echo, "--count", count)
        screen.wait_for("in service", times=3)
        screen.type(CTRL_C)

        assert screen.exit_code() == 130
        assert screen.shown.count("in service") == 3


def test_an_endpoint_is_scaled(saker: Run, echo: str) -> None:
    scaled = saker("endpoints", "scale", echo, "--count", 2)
    described: dict[str, Any] = json.loads(saker("endpoints", "describe", echo, "--json").out)
    saker("endpoints", "scale", echo, "--count", 1)

    assert scaled.code == 0, scaled.err
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 2


def test_an_unknown_variant_is_not_scaled(saker: Run, echo: str) -> None:
    assert (
        "Did you mean 'AllTraffic'?" in saker("endpoints", "scale", echo, "--count", 1, "--variant", "Alltraffic").err
    )


def test_deleting_needs_a_yes(saker: Run, echo: str) -> None:
    outcome = saker("endpoints", "delete", echo)

    assert outcome.code == 1
    assert "Fix: Add --yes." in outcome.err


def test_deleting_what_does_not_exist_deletes_nothing(saker: Run, echo: str) -> None:
    outcome = saker("endpoints", "delete", echo, "cli-nobody", "--yes")

    assert outcome.code == 1
    assert "cli-nobody" in outcome.err
    assert saker("endpoints", "wait", echo).code == 0


def test_models_are_listed_with_their_source_and_deleted(live: LivePlatform, saker: Run) -> None:
    client = live.client("sagemaker")
    role = "arn:aws:iam::000000000000:role/r"
    container = {"Image": "x", "Environment": {"HF_MODEL_ID": "org/model"}}
    client.create_model(ModelName="cli-model", PrimaryContainer=container, ExecutionRoleArn=role)
    rows = [line.split() for line in saker("models").out.splitlines()]
    deleted = saker("models", "delete", "cli-model")
    again = saker("models", "delete", "cli-model")

    assert ["cli-model", "org/model"] in [row[:2] for row in rows]
    assert deleted.out == "Model 'cli-model' is deleted.\n"
    assert again.code == 1


def test_a_key_is_made_works_and_is_revoked(live: LivePlatform, saker: Run) -> None:
    made = json.loads(saker("keys", "create", "ada", "--json").out)
    client = live.client("sagemaker", key_id=made["id"], secret=made["secret"])
    client.list_endpoints()
    listed = saker("keys").out
    revoked = saker("keys", "revoke", made["id"])
    states = {key["id"]: key["is_active"] for key in json.loads(saker("keys", "--json").out)}

    assert made["id"] in listed
    assert made["secret"] not in listed
    assert revoked.code == 0
    assert states[made["id"]] is False
    with pytest.raises(client.exceptions.ClientError, match="security token"):
        client.list_endpoints()


def test_secrets_of_a_key_are_shown_once_with_a_warning(saker: Run) -> None:
    outcome = saker("keys", "create", "bob")

    assert "OPENAI_API_KEY" in outcome.out
    assert "only now" in outcome.err
    assert saker("keys", "create", "root").code == 1
    assert saker("keys", "revoke", "AKIANOBODY").code == 1


# status, doctor, coverage


def test_status_shows_where_it_runs_and_its_endpoints(live: LivePlatform, saker: Run, echo: str) -> None:
    found = json.loads(saker("status", "--json").out)
    text = saker("status").out

    assert found["is_running"] is True
    assert found["pid"] == os.getpid()
    assert {"name": echo, "status": "InService"} in found["endpoints"]
    assert live.url in text
    assert echo in text


def test_coverage_counts_what_is_implemented(saker: Run) -> None:
    rows = {row["service"]: row for row in json.loads(saker("coverage", "--json").out)}
    runtime = saker("coverage", "sagemaker-runtime").out

    assert "CreateEndpoint" in rows["sagemaker"]["implemented"]
    assert "CreateTrainingJob" in rows["sagemaker"]["missing"]
    assert ["InvokeEndpoint", "yes"] in [line.split() for line in runtime.splitlines()]
    assert "Did you mean 'sagemaker'?" in saker("coverage", "sagemakr").err


def test_a_table_in_a_terminal_is_coloured_unless_told_not_to(live: LivePlatform, echo: str) -> None:
    with terminal(live, "endpoints") as coloured:
        assert coloured.exit_code() == 0
    environ = clean_environment() | {"NO_COLOR": "1"}
    home = ["--home", str(live.settings.home), "--port", str(live.settings.port)]
    with Terminal([sys.executable, "-m", "saker", *home, "endpoints"], environ) as plain:
        assert plain.exit_code() == 0

    assert "\x1b[32mInService" in coloured.shown
    assert "\x1b[32m" not in plain.shown
    assert echo in plain.shown
