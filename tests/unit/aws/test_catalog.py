from __future__ import annotations

import subprocess
import sys

import pytest

from saker.aws import Catalog, Service, coverage
from saker.aws.model_files import find_model, read_metadata, read_model
from saker.core.errors import NotFound, Unsupported


def test_metadata_reads_the_same_from_the_top_and_from_the_whole_file() -> None:
    for name in ("sagemaker", "s3", "apigatewayv2", "cloudwatch"):
        path = find_model(name)
        assert read_model(path)["metadata"] == read_metadata(path)


def test_a_model_is_read_on_first_use() -> None:
    service = Service("logs")
    assert "model" not in vars(service)
    assert "GetLogEvents" in service.operations
    assert "model" in vars(service)


def test_models_come_without_documentation() -> None:
    model = read_model(find_model("lambda"))
    assert "documentation" not in model["operations"]["Invoke"]
    assert "documentation" not in model["shapes"]["InvocationRequest"]["members"]["Payload"]


def test_importing_the_room_reads_no_model_and_none_of_botocores_http() -> None:
    code = "import sys, saker.aws; saker.aws.Catalog(['sagemaker', 's3']); print('urllib3' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "False" == found.stdout.strip()


def test_an_unknown_service_gets_the_nearest_name() -> None:
    with pytest.raises(NotFound, match="Did you mean 'sagemaker'"):
        Catalog(["sagmaker"])


@pytest.mark.parametrize("name", ["", "..", "*", "s3/../s3", "s\u00e9"])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(NotFound):
        find_model(name)


def test_a_service_in_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(Unsupported, match="ec2"):
        Service("ec2")


def test_services_that_share_a_signing_name_are_found_together(catalog: Catalog) -> None:
    found = [service.name for service in catalog.find_by_signing_name("sagemaker")]
    assert ["sagemaker", "sagemaker-runtime", "sagemaker-metrics"] == found
    assert [] == catalog.find_by_signing_name("nothing")


def test_coverage_counts_what_aws_offers() -> None:
    catalog = Catalog(["sts", "sagemaker-runtime"])
    runtime, sts = coverage(catalog, {("sts", "GetCallerIdentity"), ("sts", "Fly"), ("s3", "GetObject")})

    assert "sagemaker-runtime" == runtime.service
    assert ((), 0.0) == (runtime.implemented, runtime.share)
    assert ("GetCallerIdentity",) == sts.implemented
    assert "AssumeRole" in sts.missing
    assert len(catalog.services["sts"].operations) == sts.total
