from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saker.aws import Call, Catalog, Dialect, default_status, serialize, serialize_error
from saker.core.errors import Internal
from saker.core.http import Response
from support.aws_wire import each, make_call, read_response

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def header(response: Response, name: str) -> str | None:
    return next((value for key, value in response.headers if key.lower() == name.lower()), None)


def body(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


def error(dialect: Dialect, code: str = "ValidationException", **options: Any) -> Response:
    return serialize_error(dialect, code, "It is wrong.", request_id="r-1", **options)


def test_a_json_result_carries_its_request_id(catalog: Catalog) -> None:
    response = serialize(make_call(catalog, "sagemaker", "CreateModel"), {"ModelArn": "arn"}, "r-1")

    assert 200 == response.status
    assert {"ModelArn": "arn"} == json.loads(body(response))
    assert "application/x-amz-json-1.1" == header(response, "content-type")
    assert "r-1" == header(response, "x-amzn-RequestId")


def test_each_service_keeps_its_version_of_json(catalog: Catalog) -> None:
    response = serialize(make_call(catalog, "cloudwatch", "PutMetricData", "json"), {}, "r-1")
    assert "application/x-amz-json-1.0" == header(response, "content-type")


def test_moments_are_seconds_in_json_and_may_be_given_so(catalog: Catalog) -> None:
    call = make_call(catalog, "sagemaker", "DescribeModel")
    for moment in (NOON, NOON.timestamp()):
        assert {"CreationTime": 1767268800} == json.loads(body(serialize(call, {"CreationTime": moment}, "r")))


def test_s3_writes_moments_to_the_millisecond(catalog: Catalog) -> None:
    result = {"Buckets": [{"Name": "b", "CreationDate": NOON}]}
    written = body(serialize(make_call(catalog, "s3", "ListBuckets"), result, "r"))
    assert b"<CreationDate>2026-01-01T12:00:00.000Z</CreationDate>" in written
    assert b'<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' in written


def test_a_bucket_location_is_the_text_of_its_root(catalog: Catalog) -> None:
    written = body(serialize(make_call(catalog, "s3", "GetBucketLocation"), {"LocationConstraint": "eu-west-1"}, "r"))
    assert written.endswith(b">eu-west-1</LocationConstraint>")


def test_none_is_absent(catalog: Catalog) -> None:
    call = make_call(catalog, "sagemaker", "DescribeEndpoint")
    assert {"EndpointName": "e"} == json.loads(body(serialize(call, {"EndpointName": "e", "FailureReason": None}, "r")))


@pytest.mark.parametrize(
    ("service", "operation", "result"),
    [
        ("sagemaker", "DescribeEndpoint", {"EndpiontName": "e"}),
        ("sagemaker", "ListEndpoints", {"Endpoints": [{"Name": "e"}]}),
        ("iam", "GetRole", {"Role": {"Nmae": "r"}}),
        ("s3", "ListBuckets", {"Bucket": []}),
    ],
)
def test_a_member_that_the_output_lacks_is_a_fault_of_ours(
    catalog: Catalog, service: str, operation: str, result: dict[str, Any]
) -> None:
    with pytest.raises(Internal, match="unknown members"):
        serialize(make_call(catalog, service, operation), result, "r")


def test_a_query_result_is_wrapped_and_carries_its_request_id(catalog: Catalog) -> None:
    written = body(serialize(make_call(catalog, "sts", "GetCallerIdentity"), {"Account": "000000000000"}, "r-1"))
    assert b"<GetCallerIdentityResult><Account>000000000000</Account></GetCallerIdentityResult>" in written
    assert b"<RequestId>r-1</RequestId>" in written


async def test_a_streamed_payload_passes_as_it_comes(catalog: Catalog) -> None:
    call = make_call(catalog, "sagemaker-runtime", "InvokeEndpoint")
    response = serialize(call, {"Body": each(b"a", b"b"), "ContentType": "text/plain"}, "r")

    assert isinstance(response.body, AsyncIterator)
    assert [b"a", b"b"] == [chunk async for chunk in response.body]
    assert ["text/plain"] == [value for name, value in response.headers if name == "Content-Type"]


def test_what_has_no_body_has_none(catalog: Catalog) -> None:
    for service, operation in (("s3", "DeleteObject"), ("lambda", "DeleteAlias"), ("s3", "HeadBucket")):
        response = serialize(make_call(catalog, service, operation), {}, "r")
        assert b"" == response.body
        assert header(response, "content-type") is None


@given(st.text())
def test_no_value_can_add_a_header(value: str) -> None:
    catalog = Catalog(["sagemaker-runtime", "s3"])
    variant = serialize(
        make_call(catalog, "sagemaker-runtime", "InvokeEndpoint"),
        {"InvokedProductionVariant": f"a{value}\r\nX: y"},
        "r",
    )
    metadata = serialize(make_call(catalog, "s3", "HeadObject"), {"Metadata": {f"k{value}\n": f"v{value}\r"}}, "r")
    for name, text in variant.headers + metadata.headers:
        assert not any(ord(character) < 32 for character in name + text)


@given(st.text())
def test_any_text_makes_readable_xml(value: str) -> None:
    call = make_call(Catalog(["iam"]), "iam", "GetRole")
    role = {
        "Path": "/",
        "RoleName": "r",
        "RoleId": "i",
        "Arn": "a",
        "CreateDate": NOON,
        "Description": f"<{value}&\x00",
    }
    parsed = read_response(call, serialize(call, {"Role": role}, "r"))
    assert parsed["Role"]["Description"].startswith("<")


def test_xml_keeps_what_it_can_hold(catalog: Catalog) -> None:
    text = " a\tb\nc\rd<>&\"'ü\U0001f600 "
    call = make_call(catalog, "iam", "GetRole")
    assert text == read_response(call, serialize(call, {"Role": {"Description": text}}, "r"))["Role"]["Description"]


# -- errors ------------------------------------------------------------------------------------------------------------


def test_a_json_error_names_its_type(catalog: Catalog) -> None:
    response = error(make_call(catalog, "sagemaker", "CreateModel"))

    assert 400 == response.status
    assert {"__type": "ValidationException", "message": "It is wrong."} == json.loads(body(response))


def test_a_modeled_error_has_its_own_status_and_members(catalog: Catalog) -> None:
    call = make_call(catalog, "sagemaker-runtime", "InvokeEndpoint")
    response = error(call, "ModelError", fields={"OriginalStatusCode": 503, "OriginalMessage": "busy"})

    assert 424 == response.status
    assert "ModelError" == header(response, "x-amzn-ErrorType")
    expected = {"__type": "ModelError", "Message": "It is wrong.", "OriginalStatusCode": 503, "OriginalMessage": "busy"}
    assert expected == json.loads(body(response))


def test_members_of_errors_may_be_headers(catalog: Catalog) -> None:
    call = make_call(catalog, "lambda", "Invoke")
    response = error(call, "TooManyRequestsException", fields={"retryAfterSeconds": "7"})
    assert (429, "7") == (response.status, header(response, "Retry-After"))


def test_an_old_code_goes_into_a_header_where_the_service_once_spoke_query(catalog: Catalog) -> None:
    call = make_call(catalog, "cloudwatch", "DescribeAlarms", "smithy-rpc-v2-cbor")
    response = error(call, "InvalidNextToken")
    assert "InvalidNextToken;Sender" == header(response, "x-amzn-query-error")
    assert "InvalidNextToken" == read_response(call, response)["Error"]["Code"]


def test_a_query_error_says_whose_fault_it_is(catalog: Catalog) -> None:
    call = make_call(catalog, "iam", "GetRole")
    assert b"<Type>Sender</Type><Code>NoSuchEntity</Code>" in body(error(call, "NoSuchEntity", status=404))
    assert b"<Type>Receiver</Type>" in body(error(call, "ServiceFailure", status=500))
    assert b'<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">' in body(error(call))


def test_an_s3_error_has_elements_of_its_own(catalog: Catalog) -> None:
    response = error(make_call(catalog, "s3", "GetObject"), "NoSuchKey", status=404, fields={"Key": "a<b"})

    assert 404 == response.status
    assert "r-1" == header(response, "x-amz-request-id")
    assert b"<Error><Code>NoSuchKey</Code><Message>It is wrong.</Message><Key>a&lt;b</Key>" in body(response)


def test_an_error_without_a_known_operation_speaks_the_guessed_dialect() -> None:
    unknown = Dialect(service="", protocol="rest-json")
    assert 404 == error(unknown, "UnknownOperationException").status
    assert {"__type": "X", "message": "It is wrong.", "hint": 1} == json.loads(
        body(error(unknown, "X", fields={"hint": 1}))
    )


@pytest.mark.parametrize(
    ("protocol", "code", "status"),
    [
        ("json", "InvalidSignatureException", 400),
        ("rest-json", "InvalidSignatureException", 403),
        ("query", "SignatureDoesNotMatch", 403),
        ("rest-xml", "NotImplemented", 501),
        ("rest-json", "ValidationException", 400),
        ("json", "InternalFailure", 500),
    ],
)
def test_codes_of_this_room_have_the_status_that_aws_gives(protocol: Any, code: str, status: int) -> None:
    assert status == default_status(Call(service="x", protocol=protocol), code)
