"""The AWS wire from botocore's service models: routing, SigV4, parsing, serializing, streams. Knows no SageMaker."""

from saker.aws.catalog import Catalog, Service
from saker.aws.coverage import ServiceCoverage, coverage
from saker.aws.dialect import Call, Dialect
from saker.aws.parse import parse
from saker.aws.route import guess_dialect, route
from saker.aws.serialize import default_status, serialize, serialize_error
from saker.aws.sigv4 import AccessKey, VerifiedScope, verify

__all__ = [
    "AccessKey",
    "Call",
    "Catalog",
    "Dialect",
    "Service",
    "ServiceCoverage",
    "VerifiedScope",
    "coverage",
    "default_status",
    "guess_dialect",
    "parse",
    "route",
    "serialize",
    "serialize_error",
    "verify",
]
