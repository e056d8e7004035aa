"""The SageMaker control plane, as botocore sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.live import LivePlatform, deploy, wait_until, write_fake_model

ROLE = "arn:aws:iam::000000000000:role/anything"


def make_model(sagemaker: Any, name: str, **environment: str) -> None:
    container = {"Image": "fake", "Environment": environment or {"HF_MODEL_ID": "embedded"}}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)


def variant(model: str, name: str = "AllTraffic", **more: Any) -> dict[str, Any]:
    row = {"VariantName": name, "ModelName": model, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    return row | {"InitialVariantWeight": 1.0} | more


def error_of(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_a_model_reads_as_it_was_created(sagemaker: Any, name: str) -> None:
    container = {"Image": "fake", "Environment": {"HF_MODEL_ID": "embedded"}, "Mode": "SingleModel"}
    vpc = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}

    tags = [{"Key": "a", "Value": "b"}]

    made = sagemaker.create_model(
        ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container, VpcConfig=vpc, Tags=tags
    )
    read = sagemaker.describe_model(ModelName=name)

    assert f"arn:aws:sagemaker:us-east-1:000000000000:model/{name}" == made["ModelArn"] == read["ModelArn"]
    assert container == read["PrimaryContainer"]
    assert vpc == read["VpcConfig"]
    assert ROLE == read["ExecutionRoleArn"]
    assert read["EnableNetworkIsolation"] is False
    assert tags == sagemaker.list_tags(ResourceArn=read["ModelArn"])["Tags"]


@pytest.mark.parametrize(
    ("operation", "member", "noun", "kind"),
    [
        ("describe_model", "ModelName", "model", "model"),
        ("delete_model", "ModelName", "model", "model"),
        ("describe_endpoint_config", "EndpointConfigName", "endpoint configuration", "endpoint-config"),
        ("delete_endpoint_config", "EndpointConfigName", "endpoint configuration", "endpoint-config"),
        ("describe_endpoint", "EndpointName", "endpoint", "endpoint"),
        ("delete_endpoint", "EndpointName", "endpoint", "endpoint"),
    ],
)
def test_what_does_not_exist_is_told_in_the_words_that_sdks_match_on(
    sagemaker: Any, operation: str, member: str, noun: str, kind: str
) -> None:
    code, message = error_of(getattr(sagemaker, operation), **{member: "nowhere"})

    assert code == "ValidationException"
    assert f'Could not find {noun} "arn:aws:sagemaker:us-east-1:000000000000:{kind}/nowhere".' in message


def test_a_name_can_be_taken_once(sagemaker: Any, name: str) -> None:
    make_model(sagemaker, name)
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant(name)])

    code, message = error_of(make_model, sagemaker=sagemaker, name=name)
    config_code, config_message = error_of(
        sagemaker.create_endpoint_config, EndpointConfigName=name, ProductionVariants=[variant(name)]
    )

    assert ("ValidationException", "ValidationException") == (code, config_code)
    assert message.startswith("Cannot create already existing model ")
    assert config_message.startswith("Cannot create already existing endpoint configuration ")


def test_deleting_twice_tells_that_nothing_is_there(sagemaker: Any, name: str) -> None:
    make_model(sagemaker, name)
    sagemaker.delete_model(ModelName=name)

    assert error_of(sagemaker.delete_model, ModelName=name)[1].startswith("Could not find model")


@pytest.mark.parametrize("bad", ["", "-x", "a" * 64, "with space", "ünicode", "a_b"])
def test_a_name_outside_the_rules_is_refused(live: LivePlatform, bad: str) -> None:
    sagemaker = live.client("sagemaker", parameter_validation=False)

    code, message = error_of(
        sagemaker.create_model, ModelName=bad, PrimaryContainer={"Image": "fake"}, ExecutionRoleArn=ROLE
    )

    assert code == "ValidationException"
    assert "validation error" in message


def test_a_configuration_needs_models_that_exist(sagemaker: Any, name: str) -> None:
    code, message = error_of(
        sagemaker.create_endpoint_config, EndpointConfigName=name, ProductionVariants=[variant("no-such-model")]
    )

    assert code == "ValidationException"
    assert message.startswith("Could not find model")


def test_a_configuration_without_any_weight_is_refused(sagemaker: Any, name: str) -> None:
    make_model(sagemaker, name)

    _, message = error_of(
        sagemaker.create_endpoint_config,
        EndpointConfigName=name,
        ProductionVariants=[variant(name, InitialVariantWeight=0.0)],
    )

    assert "InitialVariantWeight" in message


def test_what_is_not_served_is_refused_and_not_dropped(sagemaker: Any, name: str) -> None:
    make_model(sagemaker, name)

    code, message = error_of(
        sagemaker.create_endpoint_config,
        EndpointConfigName=name,
        ProductionVariants=[variant(name)],
        AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": "s3://bucket/prefix"}},
    )

    assert code == "ValidationException"
    assert "AsyncInferenceConfig is not implemented by Saker" in message


def test_an_operation_that_aws_has_and_saker_has_not_says_so(sagemaker: Any) -> None:
    code, message = error_of(sagemaker.list_training_jobs)

    assert code == "NotImplementedBySaker"
    assert "ListTrainingJobs of sagemaker is not implemented by Saker" in message


def test_lists_go_on_from_page_to_page(sagemaker: Any) -> None:
    names = [f"paged-{number:02d}" for number in range(25)]
    for each in names:
        make_model(sagemaker, each)

    pages = list(
        sagemaker.get_paginator("list_models").paginate(
            NameContains="paged-", SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 10}
        )
    )

    assert [10, 10, 5] == [len(page["Models"]) for page in pages]
    assert names == [row["ModelName"] for page in pages for row in page["Models"]]


def test_a_made_up_pagination_token_is_refused(sagemaker: Any) -> None:
    code, _ = error_of(sagemaker.list_models, NextToken="made-up")

    assert code == "ValidationException"


def test_tags_are_added_listed_and_removed(sagemaker: Any, name: str) -> None:
    make_model(sagemaker, name)
    arn = sagemaker.describe_model(ModelName=name)["ModelArn"]

    added = sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "red"}, {"Key": "env", "Value": "dev"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["env", "absent"])

    assert {"team", "env"} == {tag["Key"] for tag in added["Tags"]}
    assert [{"Key": "team", "Value": "red"}] == sagemaker.list_tags(ResourceArn=arn)["Tags"]


def test_tags_of_nothing_are_refused(sagemaker: Any) -> None:
    arn = "arn:aws:sagemaker:us-east-1:000000000000:model/nowhere"

    assert error_of(sagemaker.list_tags, ResourceArn=arn)[1].startswith("Could not find resource")


def test_an_endpoint_comes_up_describes_itself_and_goes(sagemaker: Any, fake_model: Path, name: str) -> None:
    deploy(sagemaker, name, fake_model, count=2)

    described = sagemaker.describe_endpoint(EndpointName=name)
    sagemaker.delete_endpoint(EndpointName=name)
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})

    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == name
    row = described["ProductionVariants"][0]
    assert (2, 2) == (row["CurrentInstanceCount"], row["DesiredInstanceCount"])
    assert [{"SpecifiedImage": "fake"}] == row["DeployedImages"]
    assert error_of(sagemaker.describe_endpoint, EndpointName=name)[0] == "ValidationException"


def test_an_endpoint_outlives_the_records_it_was_made_from(
    sagemaker: Any, runtime: Any, fake_model: Path, name: str
) -> None:
    deploy(sagemaker, name, fake_model)
    sagemaker.delete_endpoint_config(EndpointConfigName=name)
    sagemaker.delete_model(ModelName=name)

    answer = runtime.invoke_endpoint(EndpointName=name, Body=b'{"inputs": "still here"}')

    assert b'[{"generated_text":"still here"}]' == answer["Body"].read()


def test_a_misspelt_variable_fails_the_endpoint_and_is_told_the_right_word(
    sagemaker: Any, fake_model: Path, name: str
) -> None:
    deploy(sagemaker, name, fake_model, wait=False, environment={"MAX_TOTEL_TOKENS": "512"})

    reason = wait_until(sagemaker, name, "Failed")["FailureReason"]

    assert "MAX_TOTEL_TOKENS" in reason
    assert "Did you mean 'MAX_TOTAL_TOKENS'?" in reason


def test_a_model_that_cannot_load_fails_the_endpoint_with_its_reason(sagemaker: Any, tmp_path: Path, name: str) -> None:
    deploy(sagemaker, name, write_fake_model(tmp_path, fail="The weights are made of cheese."), wait=False)

    assert "The weights are made of cheese." in wait_until(sagemaker, name, "Failed")["FailureReason"]


def test_an_update_that_fails_rolls_back_and_says_why(
    sagemaker: Any, runtime: Any, fake_model: Path, tmp_path: Path, name: str
) -> None:
    deploy(sagemaker, name, fake_model)
    broken = write_fake_model(tmp_path, fail="The weights are made of cheese.")
    make_model(sagemaker, f"{name}-2", HF_MODEL_ID=str(broken))
    sagemaker.create_endpoint_config(EndpointConfigName=f"{name}-2", ProductionVariants=[variant(f"{name}-2")])

    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=f"{name}-2")
    described = wait_until(sagemaker, name, "InService")

    assert described["EndpointConfigName"] == name
    assert "made of cheese" in described["FailureReason"]
    assert runtime.invoke_endpoint(EndpointName=name, Body=b'{"inputs": "back"}')["Body"].read()


def test_an_endpoint_that_changes_cannot_be_changed(sagemaker: Any, tmp_path: Path, name: str) -> None:
    deploy(sagemaker, name, write_fake_model(tmp_path, load_s=3.0), wait=False)

    code, message = error_of(sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=name)
    sagemaker.delete_endpoint(EndpointName=name)

    assert code == "ValidationException"
    assert message.startswith("Cannot update in-progress endpoint")


def test_weights_and_counts_change_without_a_new_configuration(sagemaker: Any, fake_model: Path, name: str) -> None:
    deploy(sagemaker, name, fake_model)

    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 2, "DesiredWeight": 0.5}],
    )
    row = wait_until(sagemaker, name, "InService")["ProductionVariants"][0]

    assert (2, 0.5) == (row["CurrentInstanceCount"], row["CurrentWeight"])
