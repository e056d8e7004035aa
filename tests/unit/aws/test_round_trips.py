"""botocore writes what we read, and reads what we write, over the operations of the installed models."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saker.aws import Call, Catalog, default_status, route, serialize, serialize_error
from saker.aws.parse import read
from support.aws_values import structures, texts, without_empty
from support.aws_wire import SERVICES, make_call, make_request, read_response

WIRES = [
    ("sagemaker", "json"),
    ("sagemaker-runtime", "rest-json"),
    ("sagemaker-metrics", "rest-json"),
    ("application-autoscaling", "json"),
    ("bedrock-runtime", "rest-json"),
    ("cloudwatch", "json"),
    ("cloudwatch", "query"),
    ("cloudwatch", "smithy-rpc-v2-cbor"),
    ("iam", "query"),
    ("lambda", "rest-json"),
    ("lexv2-runtime", "rest-json"),
    ("logs", "json"),
    ("s3", "rest-xml"),
    ("sts", "query"),
]

# The first looks like ListBuckets on the wire, the second is read by a special handler of botocore's client. So do S3's
# deprecated operations look like those that replace them.
LEFT_OUT = ("ListDirectoryBuckets", "GetBucketLocation")

thorough = settings(
    max_examples=int(os.environ.get("SAKER_ROUND_TRIPS", "25")),
    deadline=None,  # the first example of a service loads its model
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def calls(catalog: Catalog, service: str, protocol: str) -> st.SearchStrategy[Call]:
    found = catalog.services[service]
    names = sorted(name for name in found.operations if not found.operation(name).deprecated and name not in LEFT_OUT)
    return st.sampled_from(names).map(lambda name: make_call(catalog, service, name, protocol))


@pytest.mark.parametrize(("service", "protocol"), WIRES)
@thorough
@given(data=st.data())
def test_a_request_of_botocore_arrives_as_it_was_meant(
    catalog: Catalog, service: str, protocol: str, data: st.DataObject
) -> None:
    call = data.draw(calls(catalog, service, protocol))
    if call.operation.has_event_stream_input:
        return
    shape = call.operation.input_shape
    parameters: dict[str, Any] = data.draw(structures(shape)) if shape is not None else {}

    request = make_request(catalog.services[service], call.name, parameters, protocol)
    routed = route(catalog, request)

    assert (service, call.name, protocol) == (routed.service, routed.name, routed.protocol)
    assert without_empty(parameters) == without_empty(read(routed, request))


@pytest.mark.parametrize(("service", "protocol"), WIRES)
@thorough
@given(data=st.data())
def test_botocore_reads_a_result_as_it_was_meant(
    catalog: Catalog, service: str, protocol: str, data: st.DataObject
) -> None:
    call = data.draw(calls(catalog, service, protocol))
    if call.operation.has_event_stream_output:
        return
    shape = call.operation.output_shape
    result: dict[str, Any] = data.draw(structures(shape)) if shape is not None else {}

    parsed = read_response(call, serialize(call, result, "request-1"))

    added = {"contentType", "ContentType", "StatusCode"} - result.keys()  # every response has these two
    assert without_empty(result) == without_empty({name: parsed[name] for name in parsed if name not in added})


@pytest.mark.parametrize(("service", "protocol"), WIRES)
@thorough
@given(data=st.data(), message=texts.filter(bool))
def test_botocore_reads_an_error_as_it_was_meant(
    catalog: Catalog, service: str, protocol: str, data: st.DataObject, message: str
) -> None:
    call = data.draw(calls(catalog, service, protocol))
    codes = [shape.error_code for shape in call.operation.error_shapes]
    code = data.draw(st.sampled_from([*codes, "ValidationException", "AccessDeniedException"]))

    response = serialize_error(call, code, message, request_id="request-1")
    parsed = read_response(call, response)

    assert response.status >= 400
    if call.operation.http["method"] == "HEAD":
        assert b"" == response.body
    else:
        assert (code, message) == (parsed["Error"]["Code"], parsed["Error"]["Message"])


def test_every_service_of_these_tests_is_in_the_catalog() -> None:
    assert {service for service, _ in WIRES} == set(SERVICES)
    assert 400 == default_status(Call(service="x", protocol="json"), "ValidationException")
