"""boto3, as scripts use it."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest


@pytest.fixture
def sagemaker(client_environment: dict[str, str]) -> Any:
    return boto3.client("sagemaker")


@pytest.fixture
def runtime(client_environment: dict[str, str]) -> Any:
    return boto3.client("sagemaker-runtime")


def test_the_whole_life_of_an_endpoint(sagemaker: Any, runtime: Any) -> None:
    container = {"Image": "any", "Environment": {"HF_MODEL_ID": "embedded"}}
    role = "arn:aws:iam::000000000000:role/any"
    variant = {"VariantName": "AllTraffic", "ModelName": "mine", "InitialInstanceCount": 1}
    sagemaker.create_model(ModelName="mine", PrimaryContainer=container, ExecutionRoleArn=role)
    sagemaker.create_endpoint_config(
        EndpointConfigName="mine", ProductionVariants=[variant | {"InstanceType": "ml.g5.xlarge"}]
    )
    sagemaker.create_endpoint(EndpointName="mine", EndpointConfigName="mine")
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="mine", WaiterConfig={"Delay": 1})
    request = json.dumps({"inputs": "Once upon a time", "parameters": {"max_new_tokens": 8}})

    whole = runtime.invoke_endpoint(EndpointName="mine", ContentType="application/json", Body=request)
    stream = runtime.invoke_endpoint_with_response_stream(
        EndpointName="mine", ContentType="application/json", Body=request
    )
    text = json.loads(whole["Body"].read())[0]["generated_text"]
    events = [json.loads(part["PayloadPart"]["Bytes"].removeprefix(b"data:")) for part in stream["Body"]]
    sagemaker.delete_endpoint(EndpointName="mine")
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName="mine", WaiterConfig={"Delay": 1})
    sagemaker.delete_endpoint_config(EndpointConfigName="mine")
    sagemaker.delete_model(ModelName="mine")

    assert text == events[-1]["generated_text"] == "".join(event["token"]["text"] for event in events)
    assert len(events) == 8
    assert "mine" not in [row["EndpointName"] for row in sagemaker.list_endpoints()["Endpoints"]]
