from __future__ import annotations

import pytest

from saker.aws import Catalog

SERVICES = (
    "sagemaker",
    "sagemaker-runtime",
    "sagemaker-metrics",
    "application-autoscaling",
    "bedrock-runtime",
    "cloudwatch",
    "iam",
    "lambda",
    "lexv2-runtime",
    "logs",
    "s3",
    "sts",
)


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return Catalog(SERVICES)
