"""InvokeEndpoint and InvokeEndpointWithResponseStream, as botocore sees them."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from support.live import LivePlatform, deploy, write_fake_model


def ask(runtime: Any, endpoint: str, inputs: str, **parameters: Any) -> str:
    body = json.dumps({"inputs": inputs, "parameters": parameters})
    answer = runtime.invoke_endpoint(EndpointName=endpoint, ContentType="application/json", Body=body)
    return str(json.loads(answer["Body"].read())[0]["generated_text"])


def refusal(runtime: Any, endpoint: str, body: bytes, **more: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **more)
    error = caught.value.response
    return error["Error"]["Code"], error["Error"]["Message"], error["ResponseMetadata"]["HTTPStatusCode"]


def test_an_answer_comes_with_its_type_and_variant(runtime: Any, endpoint: str) -> None:
    answer = runtime.invoke_endpoint(EndpointName=endpoint, Body=b'{"inputs": "one two three"}', CustomAttributes="c=1")

    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["CustomAttributes"] == "c=1"
    assert [{"generated_text": "one two three"}] == json.loads(answer["Body"].read())


def test_parameters_are_honoured(runtime: Any, endpoint: str) -> None:
    assert ask(runtime, endpoint, "a b c d", max_new_tokens=2) == "a b"
    assert ask(runtime, endpoint, "a b c d", stop=["c"]).strip() == "a b"
    assert ask(runtime, endpoint, "a b", return_full_text=True) == "a ba b"


def test_details_count_and_name_the_tokens(runtime: Any, endpoint: str) -> None:
    body = json.dumps({"inputs": "a b c", "parameters": {"details": True, "max_new_tokens": 2}})

    details = json.loads(runtime.invoke_endpoint(EndpointName=endpoint, Body=body)["Body"].read())[0]["details"]

    assert (details["finish_reason"], details["generated_tokens"]) == ("length", 2)
    assert ["a", " b"] == [token["text"] for token in details["tokens"]]


def test_a_stream_brings_one_event_for_each_token_and_the_whole_at_the_end(runtime: Any, endpoint: str) -> None:
    body = json.dumps({"inputs": "a b c", "parameters": {"max_new_tokens": 3}})
    answer = runtime.invoke_endpoint_with_response_stream(EndpointName=endpoint, Body=body)

    events = [json.loads(part["PayloadPart"]["Bytes"].removeprefix(b"data:")) for part in answer["Body"]]

    assert answer["ContentType"] == "text/event-stream"
    assert ["a", " b", " c"] == [event["token"]["text"] for event in events]
    assert [None, None, "a b c"] == [event["generated_text"] for event in events]
    assert events[-1]["details"]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b" ", "empty"),
        (b"{", "not valid JSON"),
        (b"[]", "Expected `object`"),
        (b"\xff\xfe", "not valid JSON"),
        (b'{"inputs": 3}', "Expected `str`, got `int`"),
        (b'{"parameters": {}}', "missing required field `inputs`"),
        (b'{"inputs": ""}', "cannot be empty"),
        (b'{"input": "x"}', "Did you mean 'inputs'?"),
        (b'{"inputs": "x", "parameters": {"max_new_token": 3}}', "Did you mean 'max_new_tokens'?"),
        (b'{"inputs": "x", "parameters": {"max_new_tokens": 0}}', "at least 1"),
        (b'{"inputs": "x", "parameters": {"temperature": 0}}', "strictly positive"),
        (b'{"inputs": "x", "parameters": {"do_sample": true, "top_p": 1.5}}', "at most 1"),
        (b'{"inputs": "x", "parameters": {"typical_p": 0.5}}', "'typical_p'"),
        (
            b'{"inputs": "x", "parameters": {"watermark": true}}',
            "deploy with the engine 'paged'",
        ),
        (b'{"inputs": "x", "parameters": {"best_of": 2, "do_sample": true}}', "'best_of'"),
        (b'{"inputs": "x", "parameters": {"adapter_id": "mine"}}', "'adapter'"),
        (b'{"inputs": "x", "parameters": {"grammar": {"type": "regex", "value": 3}}}', "needs a text"),
        (b'{"inputs": "x", "parameters": {"top_n_tokens": 99}}', "`top_n_tokens`"),
        (b'{"inputs": "x", "stream": true}', "InvokeEndpointWithResponseStream"),
        (b"[" * 100_000, "Expected `object`"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_with_its_reason(
    runtime: Any, endpoint: str, body: bytes, words: str
) -> None:
    code, message, status = refusal(runtime, endpoint, body)

    assert ("ValidationError", 400) == (code, status)
    assert words in message


def test_a_prompt_that_is_too_long_is_refused_with_the_counts(runtime: Any, endpoint: str) -> None:
    body = json.dumps({"inputs": "word " * 5000}).encode()

    code, message, _ = refusal(runtime, endpoint, body)

    assert code == "ValidationError"
    assert "5000 tokens" in message
    assert "4096" in message


def test_another_content_type_is_refused(runtime: Any, endpoint: str) -> None:
    code, message, _ = refusal(runtime, endpoint, b"\x89PNG", ContentType="image/png")

    assert code == "ValidationError"
    assert "application/json" in message


def test_an_endpoint_that_does_not_exist_is_told_in_aws_s_words(runtime: Any, endpoint: str) -> None:
    code, message, status = refusal(runtime, "parot", b'{"inputs": "x"}')

    assert ("ValidationError", 400) == (code, status)
    assert "Endpoint parot of account 000000000000 not found." in message
    assert f"Did you mean {endpoint!r}?" in message


def test_an_endpoint_that_is_being_created_says_so(sagemaker: Any, runtime: Any, tmp_path: Path, name: str) -> None:
    deploy(sagemaker, name, write_fake_model(tmp_path, load_s=3.0), wait=False)

    code, message, _ = refusal(runtime, name, b'{"inputs": "x"}')
    sagemaker.delete_endpoint(EndpointName=name)

    assert code == "ValidationError"
    assert "is Creating, not InService" in message


def test_a_variant_can_be_asked_for_by_name(runtime: Any, endpoint: str) -> None:
    asked = runtime.invoke_endpoint(EndpointName=endpoint, Body=b'{"inputs": "x"}', TargetVariant="AllTraffic")
    code, message, _ = refusal(runtime, endpoint, b'{"inputs": "x"}', TargetVariant="Other")

    assert asked["InvokedProductionVariant"] == "AllTraffic"
    assert asked["Body"].read()
    assert code == "ValidationError"
    assert "Variant Other not found" in message


def test_traffic_follows_the_weights(sagemaker: Any, runtime: Any, tmp_path: Path, name: str) -> None:
    variants = []
    for letter, weight in (("a", 3.0), ("b", 1.0), ("c", 0.0)):
        model = write_fake_model(tmp_path / letter, words=[letter])
        container = {"Image": "fake", "Environment": {"HF_MODEL_ID": str(model)}}
        role = "arn:aws:iam::000000000000:role/r"
        sagemaker.create_model(ModelName=f"{name}-{letter}", PrimaryContainer=container, ExecutionRoleArn=role)
        row = {"VariantName": letter, "ModelName": f"{name}-{letter}", "InitialInstanceCount": 1}
        variants.append(row | {"InstanceType": "ml.m5.large", "InitialVariantWeight": weight})
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})

    answers = [ask(runtime, name, "x") for _ in range(200)]

    assert 0 == answers.count("c")
    assert 110 < answers.count("a") < 190  # 150 expected; 110 is 6.5 standard deviations away


def test_a_dead_worker_loses_only_what_it_worked_on(sagemaker: Any, runtime: Any, fake_model: Path, name: str) -> None:
    deploy(sagemaker, name, fake_model)

    code, message, status = refusal(runtime, name, b'{"inputs": "die __crash__"}')

    assert status >= 500, (code, message)
    assert "replica" in message
    assert ask(runtime, name, "alive") == "alive"


def test_a_worker_that_dies_in_the_middle_of_a_stream_ends_it_with_an_error(
    sagemaker: Any, runtime: Any, live: LivePlatform, tmp_path: Path, name: str
) -> None:
    deploy(sagemaker, name, write_fake_model(tmp_path, delay_s=0.05))
    body = json.dumps({"inputs": "word " * 500, "parameters": {"max_new_tokens": 500}})
    stream = runtime.invoke_endpoint_with_response_stream(EndpointName=name, Body=body)["Body"]
    events = iter(stream)
    next(events)

    live.call(lambda platform: [worker_of(platform, name).kill()])

    with pytest.raises(EventStreamError, match="ModelStreamError"):
        list(events)
    stream.close()


def test_a_client_that_goes_away_frees_its_slot(
    sagemaker: Any, runtime: Any, live: LivePlatform, tmp_path: Path, name: str
) -> None:
    deploy(sagemaker, name, write_fake_model(tmp_path, delay_s=0.02))
    body = json.dumps({"inputs": "word " * 2000, "parameters": {"max_new_tokens": 2000}})
    stream = runtime.invoke_endpoint_with_response_stream(EndpointName=name, Body=body)["Body"]
    next(iter(stream))
    assert 1 == in_flight(live, name)

    stream.close()

    end = time.monotonic() + 10
    while in_flight(live, name):
        assert time.monotonic() < end, "the request still runs"
        time.sleep(0.02)


def test_an_update_under_load_drops_no_request(
    sagemaker: Any, live: LivePlatform, tmp_path: Path, fake_model: Path, name: str
) -> None:
    deploy(sagemaker, name, write_fake_model(tmp_path, delay_s=0.01))
    container = {"Image": "fake", "Environment": {"HF_MODEL_ID": str(fake_model)}}
    role = "arn:aws:iam::000000000000:role/r"
    sagemaker.create_model(ModelName=f"{name}-2", PrimaryContainer=container, ExecutionRoleArn=role)
    row = {"VariantName": "AllTraffic", "ModelName": f"{name}-2", "InitialInstanceCount": 1}
    row |= {"InstanceType": "ml.m5.large", "InitialVariantWeight": 1.0}
    sagemaker.create_endpoint_config(EndpointConfigName=f"{name}-2", ProductionVariants=[row])
    stop = threading.Event()
    failures: list[Exception] = []
    answers: list[str] = []

    def load() -> None:
        runtime = live.client("sagemaker-runtime")
        while not stop.is_set():
            try:
                answers.append(ask(runtime, name, "one two three four five"))
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=f"{name}-2")
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    after = len(answers)
    while len(answers) < after + 50 and not failures:
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()

    assert [] == failures
    assert {"one two three four five"} == set(answers)


def in_flight(live: LivePlatform, name: str) -> int:
    """Requests that the endpoint's replicas work on."""
    return live.call(
        lambda platform: sum(
            replica.in_flight
            for key in platform.fleet.keys()  # noqa: SIM118  # a method of the fleet, which is no dict
            if key.endpoint == name
            for replica in platform.fleet.replicas(key)
        )
    )


def worker_of(platform: Any, name: str) -> Any:
    """The first replica of the endpoint."""
    key = next(key for key in platform.fleet.keys() if key.endpoint == name)  # noqa: SIM118  # see above
    return platform.fleet.replicas(key)[0]
