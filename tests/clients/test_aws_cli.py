"""The AWS CLI, version 1 from PyPI, as the tutorials call it."""

from __future__ import annotations

import json

from support.shell import Shell

BODY = json.dumps({"inputs": "Once upon a time", "parameters": {"max_new_tokens": 32}})


def test_endpoints_are_listed(shell: Shell) -> None:
    listed = json.loads(shell.run("aws sagemaker list-endpoints"))

    assert [("demo", "InService")] == [(row["EndpointName"], row["EndpointStatus"]) for row in listed["Endpoints"]]


def test_a_model_is_asked(shell: Shell) -> None:
    shell.run(
        "aws sagemaker-runtime invoke-endpoint --endpoint-name demo --content-type application/json "
        f"--body '{BODY}' out.json"
    )

    answer = json.loads((shell.folder / "out.json").read_text())[0]["generated_text"]
    assert answer.startswith(", there was a little girl named Lily.")


def test_a_body_comes_from_a_file_without_a_content_type(shell: Shell) -> None:
    (shell.folder / "request.json").write_text(BODY)

    shell.run("aws sagemaker-runtime invoke-endpoint --endpoint-name demo --body fileb://request.json out.json")

    assert "Lily" in (shell.folder / "out.json").read_text()


def test_an_endpoint_is_deployed_waited_for_described_and_deleted(shell: Shell) -> None:
    image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/huggingface-pytorch-tgi-inference:2.0.0"
    variant = "VariantName=AllTraffic,ModelName=mine,InitialInstanceCount=1,InstanceType=ml.g5.xlarge"
    shell.run(
        "aws sagemaker create-model --model-name mine --execution-role-arn arn:aws:iam::000000000000:role/any "
        f"--primary-container 'Image={image},Environment={{HF_MODEL_ID=embedded}}'"
    )
    shell.run(f"aws sagemaker create-endpoint-config --endpoint-config-name mine --production-variants {variant}")
    shell.run("aws sagemaker create-endpoint --endpoint-name mine --endpoint-config-name mine")
    shell.run("aws sagemaker wait endpoint-in-service --endpoint-name mine")
    described = json.loads(shell.run("aws sagemaker describe-endpoint --endpoint-name mine"))
    shell.run("aws sagemaker delete-endpoint --endpoint-name mine")
    shell.run("aws sagemaker wait endpoint-deleted --endpoint-name mine")
    shell.run("aws sagemaker delete-endpoint-config --endpoint-config-name mine")
    shell.run("aws sagemaker delete-model --model-name mine")

    assert described["EndpointStatus"] == "InService"
    assert described["ProductionVariants"][0]["DeployedImages"] == [{"SpecifiedImage": image}]


def test_logs_are_read(shell: Shell) -> None:
    events = json.loads(shell.run("aws logs filter-log-events --log-group-name /aws/sagemaker/Endpoints/demo"))

    assert "in service" in [event["message"] for event in events["events"]]


def test_an_error_is_aws_s_own(shell: Shell) -> None:
    error = shell.run("aws sagemaker describe-endpoint --endpoint-name dem", status=255)

    assert "(ValidationException) when calling the DescribeEndpoint operation" in error
    assert "Did you mean 'demo'?" in error


def test_what_is_not_there_yet_says_so(shell: Shell) -> None:
    assert "not implemented by Saker" in shell.run("aws sagemaker list-training-jobs", status=255)
