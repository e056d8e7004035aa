from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saker.aws import Catalog, guess_dialect, route
from saker.core.errors import InvalidInput, SakerError
from saker.core.http import Request
from support.aws_wire import KEY_ID


def make(method: str, target: str, scope: str = "", body: bytes = b"", **headers: str) -> Request:
    path, _, query = target.partition("?")
    found = {name.replace("_", "-"): value for name, value in headers.items()}
    if scope:
        found["authorization"] = f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20260101/us-east-1/{scope}/aws4_request"
    return Request(method, path, query, found, body)


@pytest.mark.parametrize(
    ("request_", "service", "operation"),
    [
        (make("POST", "/", x_amz_target="SageMaker.CreateEndpoint"), "sagemaker", "CreateEndpoint"),
        (make("POST", "/", x_amz_target="Logs_20140328.GetLogEvents"), "logs", "GetLogEvents"),
        (make("POST", "/endpoints/demo/invocations", "sagemaker"), "sagemaker-runtime", "InvokeEndpoint"),
        (
            make("POST", "/endpoints/demo/invocations-response-stream", "sagemaker"),
            "sagemaker-runtime",
            "InvokeEndpointWithResponseStream",
        ),
        (make("PUT", "/BatchPutMetrics", "sagemaker"), "sagemaker-metrics", "BatchPutMetrics"),
        (make("POST", "/model/m/converse", "bedrock"), "bedrock-runtime", "Converse"),
        (make("POST", "/", "iam", b"Action=GetRole&Version=2010-05-08&RoleName=x"), "iam", "GetRole"),
        (make("GET", "/?Action=GetCallerIdentity", "sts"), "sts", "GetCallerIdentity"),
        (
            make(
                "POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData", smithy_protocol="rpc-v2-cbor"
            ),
            "cloudwatch",
            "PutMetricData",
        ),
        (make("GET", "/", "s3"), "s3", "ListBuckets"),
        (make("GET", "/bucket?list-type=2", "s3"), "s3", "ListObjectsV2"),
        (make("GET", "/bucket/", "s3"), "s3", "ListObjects"),
        (make("GET", "/bucket/a/b", "s3"), "s3", "GetObject"),
        (make("GET", "/bucket/a/../b", "s3"), "s3", "GetObject"),
        (make("HEAD", "/bucket", "s3"), "s3", "HeadBucket"),
        (make("PUT", "/bucket/key", "s3"), "s3", "PutObject"),
        (make("PUT", "/bucket/key?partNumber=1&uploadId=x", "s3"), "s3", "UploadPart"),
        (make("PUT", "/bucket/key", "s3", x_amz_copy_source="a/b"), "s3", "CopyObject"),
        (make("GET", "/bucket/key?uploadId=x", "s3"), "s3", "ListParts"),
        (make("POST", "/bucket/key?uploads", "s3"), "s3", "CreateMultipartUpload"),
        (make("POST", "/bucket?delete", "s3"), "s3", "DeleteObjects"),
    ],
)
def test_a_request_finds_its_operation(catalog: Catalog, request_: Request, service: str, operation: str) -> None:
    call = route(catalog, request_)
    assert (service, operation) == (call.service, call.name)


def test_labels_of_the_path_are_decoded(catalog: Catalog) -> None:
    assert {"EndpointName": "a b"} == route(catalog, make("POST", "/endpoints/a%20b/invocations", "sagemaker")).uri
    assert {"Bucket": "b", "Key": "a/b c/"} == route(catalog, make("PUT", "/b/a/b%20c/", "s3")).uri


@pytest.mark.parametrize("path", ["/2015-03-31/functions", "/2015-03-31/functions/"])
def test_a_slash_at_the_end_does_not_matter(catalog: Catalog, path: str) -> None:
    assert "ListFunctions" == route(catalog, make("GET", path, "lambda")).name


def test_a_presigned_url_carries_its_scope(catalog: Catalog) -> None:
    query = urlencode({"X-Amz-Credential": f"{KEY_ID}/20260101/us-east-1/s3/aws4_request"})
    assert "GetObject" == route(catalog, make("GET", f"/endpoints/demo?{query}")).name


def test_an_unsigned_action_is_found(catalog: Catalog) -> None:
    call = route(catalog, make("POST", "/", body=b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15"))
    assert ("sts", "query") == (call.service, call.protocol)


def test_an_unsigned_path_goes_to_the_most_literal_template(catalog: Catalog) -> None:
    assert "InvokeEndpoint" == route(catalog, make("POST", "/endpoints/demo/invocations")).name
    assert "GetObject" == route(catalog, make("GET", "/bucket/key")).name


def test_a_request_that_lacks_a_required_parameter_is_still_routed(catalog: Catalog) -> None:
    """Validation can then name the parameter."""
    assert "UntagResource" == route(catalog, make("DELETE", "/2017-03-31/tags/arn", "lambda")).name


@pytest.mark.parametrize("path", ["/endpoints/../endpoints/demo/invocations", "/./endpoints/demo/invocations"])
def test_dot_segments_are_not_routed_where_signing_removes_them(catalog: Catalog, path: str) -> None:
    with pytest.raises(InvalidInput):
        route(catalog, make("POST", path, "sagemaker"))


@pytest.mark.parametrize(
    ("request_", "code", "protocol"),
    [
        (make("POST", "/", x_amz_target="SageMaker.CreateEndpiont"), "UnknownOperationException", "json"),
        (make("POST", "/", x_amz_target="Nowhere.Do"), "UnknownOperationException", "json"),
        (make("POST", "/", x_amz_target="nothing"), "UnknownOperationException", "json"),
        (make("POST", "/x", smithy_protocol="rpc-v2-cbor"), "UnknownOperationException", "smithy-rpc-v2-cbor"),
        (make("POST", "/", "iam", b"Action=Fly"), "InvalidAction", "query"),
        (make("PATCH", "/bucket", "s3"), "MethodNotAllowed", "rest-xml"),
        (make("POST", "/endpoints", "sagemaker"), "UnknownOperationException", "json"),
        (make("POST", "/x", "elsewhere"), "UnknownOperationException", "rest-json"),
    ],
)
def test_what_nobody_answers_is_refused_in_the_callers_dialect(
    catalog: Catalog, request_: Request, code: str, protocol: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        route(catalog, request_)

    assert code == caught.value.code
    assert protocol == guess_dialect(catalog, request_).protocol


def test_a_slip_of_the_pen_gets_the_nearest_operation(catalog: Catalog) -> None:
    with pytest.raises(InvalidInput, match="Did you mean 'CreateEndpoint'"):
        route(catalog, make("POST", "/", x_amz_target="SageMaker.CreateEndpiont"))


@settings(deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "X"]),
    target=st.text(max_size=30),
    scope=st.sampled_from(["", "s3", "sagemaker", "iam", "lambda", "?"]),
    body=st.binary(max_size=30) | st.binary(max_size=9).map(lambda rest: b"Action=" + rest),
    header=st.text(max_size=10),
)
def test_no_request_breaks_the_routing(
    catalog: Catalog, method: str, target: str, scope: str, body: bytes, header: str
) -> None:
    for headers in ({}, {"x_amz_target": f"SageMaker.{header}"}, {"smithy_protocol": "rpc-v2-cbor"}):
        request = make(method, f"/{target}", scope, body, **headers)
        try:
            route(catalog, request)
        except SakerError:
            guess_dialect(catalog, request)
