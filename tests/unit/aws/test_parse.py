from __future__ import annotations

import contextlib
import gzip
import math
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saker.aws import Call, Catalog, cbor, parse
from saker.aws.parse import read
from saker.core.errors import InvalidInput, SakerError
from saker.core.http import Request
from support.aws_wire import make_call


def post(body: bytes, query: str = "", **headers: str) -> Request:
    return Request("POST", "/", query, headers, body)


def refusal(call: Call, request: Request) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        parse(call, request)
    return caught.value


@pytest.fixture
def create_model(catalog: Catalog) -> Call:
    return make_call(catalog, "sagemaker", "CreateModel")


def test_unknown_members_are_ignored(create_model: Call) -> None:
    assert {"ModelName": "m"} == parse(create_model, post(b'{"ModelName": "m", "Colour": "red"}'))


def test_an_empty_body_is_an_empty_structure(catalog: Catalog) -> None:
    assert {} == parse(make_call(catalog, "sagemaker", "ListModels"), post(b""))


def test_null_is_absent(catalog: Catalog) -> None:
    assert {} == parse(make_call(catalog, "sagemaker", "ListModels"), post(b'{"NameContains": null}'))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "The body is not valid JSON."),
        (b"\xff", "The body is not valid JSON."),
        (b'{"ModelName": "\\ud800"}', "The body is not valid JSON."),
        (b"[" * 100_000, "The JSON is nested too deep."),
        (b"[]", "Expected structure or null."),
        (b"null", "Expected structure or null."),
        (b'{"ModelName": 1}', "NUMBER_VALUE cannot be converted to String. The member is 'ModelName'."),
        (b'{"ModelName": true}', "TRUE_VALUE cannot be converted to String. The member is 'ModelName'."),
        (b'{"ModelName": {}}', "DICT cannot be converted to String. The member is 'ModelName'."),
        (b'{"EnableNetworkIsolation": "true"}', "STRING_VALUE cannot be converted to Boolean."),
        (b'{"Tags": {}}', "Expected list or null. The member is 'Tags'."),
        (b'{"Tags": [{"Key": 1}]}', "The member is 'Tags.1.member.Key'."),
        (b'{"PrimaryContainer": []}', "Expected structure or null. The member is 'PrimaryContainer'."),
        (b'{"PrimaryContainer": {"Environment": {"A": 1}}}', "The member is 'PrimaryContainer.Environment.A.member'."),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(create_model: Call, body: bytes, told: str) -> None:
    error = refusal(create_model, post(body))
    assert "SerializationException" == error.code
    assert told in str(error)


@pytest.mark.parametrize("count", [b"1.5", b"2147483648", b"1e400", b"1e300", b'"1"', b"true", b"9" * 400])
def test_an_integer_is_whole_and_fits(catalog: Catalog, count: bytes) -> None:
    call = make_call(catalog, "sagemaker", "ListModels")
    assert "SerializationException" == refusal(call, post(b'{"MaxResults": %s}' % count)).code
    assert {"MaxResults": 7} == parse(call, post(b'{"MaxResults": 7.0}'))


@pytest.mark.parametrize("moment", [b'"yesterday"', b"1e300", b"true", b"-1e15", b'"2020-13-01T00:00:00Z"', b"[]"])
def test_a_timestamp_is_a_moment(catalog: Catalog, moment: bytes) -> None:
    call = make_call(catalog, "sagemaker", "ListModels")
    assert "SerializationException" == refusal(call, post(b'{"CreationTimeAfter": %s}' % moment)).code


def test_special_floats_are_spelled_out(catalog: Catalog) -> None:
    call = make_call(catalog, "cloudwatch", "PutMetricData")
    body = b'{"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": "%s"}]}'
    values = [parse(call, post(body % word))["MetricData"][0]["Value"] for word in (b"NaN", b"-Infinity")]
    assert math.isnan(values[0])
    assert -math.inf == values[1]
    assert "SerializationException" == refusal(call, post(body % b"inf")).code


def test_a_blob_is_base64(catalog: Catalog) -> None:
    call = make_call(catalog, "lambda", "CreateFunction")
    body = b'{"FunctionName": "f", "Role": "arn:aws:iam::000000000000:role/r", "Code": {"ZipFile": "%s"}}'
    assert b"zip" == parse(call, post(body % b"emlw"))["Code"]["ZipFile"]
    assert "base64" in str(refusal(call, post(body % b"em!")))


def test_documents_keep_their_form_and_have_a_depth(catalog: Catalog) -> None:
    call = replace(make_call(catalog, "bedrock-runtime", "Converse"), uri={"modelId": "m"})
    body = b'{"additionalModelRequestFields": %s}'
    assert {"a": [1, None]} == parse(call, post(body % b'{"a": [1, null]}'))["additionalModelRequestFields"]
    assert "SerializationException" == refusal(call, post(body % (b"[" * 200 + b"]" * 200))).code


@pytest.mark.parametrize(
    "body",
    [
        b"<a>",
        b"no xml",
        b'<!DOCTYPE a [<!ENTITY b "c">]><Delete>&b;</Delete>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><Delete/>',
        b"<a>" * 5000 + b"</a>" * 5000,
        b'<?xml version="1.0" encoding="nonsense"?><Delete/>',
        b"<Delete><Object><Size>many</Size></Object></Delete>",
    ],
)
def test_xml_is_read_without_document_types(catalog: Catalog, body: bytes) -> None:
    call = replace(make_call(catalog, "s3", "DeleteObjects"), uri={"Bucket": "b"})
    assert "MalformedXML" == refusal(call, post(body, "delete")).code


def test_xml_is_read_whatever_its_prefixes(catalog: Catalog) -> None:
    call = replace(make_call(catalog, "s3", "DeleteObjects"), uri={"Bucket": "b"})
    body = b'<x:Delete xmlns:x="urn:y"><x:Object><x:Key>a &amp; b</x:Key></x:Object></x:Delete>'
    assert {"Bucket": "b", "Delete": {"Objects": [{"Key": "a & b"}]}} == parse(call, post(body, "delete"))


def test_a_form_of_many_names_is_read_in_linear_time(catalog: Catalog) -> None:
    call = make_call(catalog, "iam", "SimulateCustomPolicy", "query")
    names = "&".join(f"ActionNames.member.{index}=s3:Get" for index in range(1, 20_001))
    assert 20_000 == len(read(call, post(names.encode()))["ActionNames"])


@pytest.mark.parametrize(
    "body",
    [b"\xff", b"MaxItems=x", b"MaxItems=1_0", b".".join([b"a"] * 200) + b"=1", b"PathPrefix.entry.1.value=2&MaxItems="],
)
def test_a_form_that_cannot_be_read_is_malformed(catalog: Catalog, body: bytes) -> None:
    call = make_call(catalog, "iam", "ListRoles", "query")
    assert "MalformedInput" == refusal(call, post(body)).code


@pytest.mark.parametrize(
    "body",
    [
        b"\xff",
        b"\x9f" * 5000,
        cbor.encode([1]),
        cbor.encode({"MetricData": b"x"}),
        b"\xa1\x01\x02",
        b"\xc4\x82\x01\x02",
    ],
)
def test_cbor_that_cannot_be_read_is_refused(catalog: Catalog, body: bytes) -> None:
    call = make_call(catalog, "cloudwatch", "PutMetricData", "smithy-rpc-v2-cbor")
    assert "SerializationException" == refusal(call, post(body)).code


@pytest.mark.parametrize("moment", [[], {}, "2026-11-21", 5, b"5"])
def test_a_timestamp_in_cbor_is_a_tagged_number(catalog: Catalog, moment: object) -> None:
    call = make_call(catalog, "cloudwatch", "GetInsightRuleReport", "smithy-rpc-v2-cbor")
    body = cbor.encode({"RuleName": "r", "StartTime": moment})
    assert "SerializationException" == refusal(call, post(body)).code


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(b"{}")[:-4], gzip.compress(bytes(70_000_000))])
def test_a_compressed_body_is_unpacked_within_a_limit(catalog: Catalog, body: bytes) -> None:
    call = make_call(catalog, "cloudwatch", "PutMetricData", "json")
    assert "SerializationException" == refusal(call, Request("POST", "/", "", {"content-encoding": "gzip"}, body)).code


def test_what_s3_stores_is_not_unpacked(catalog: Catalog) -> None:
    call = replace(make_call(catalog, "s3", "PutObject"), uri={"Bucket": "b", "Key": "k"})
    assert b"zipped" == parse(call, Request("PUT", "/b/k", "", {"content-encoding": "gzip"}, b"zipped"))["Body"]


def test_a_streamed_body_is_taken_as_it_is(catalog: Catalog) -> None:
    call = replace(make_call(catalog, "sagemaker-runtime", "InvokeEndpoint"), uri={"EndpointName": "e"})
    headers = {"content-type": "application/json", "x-amzn-sagemaker-target-variant": "blue"}
    expected = {"EndpointName": "e", "Body": b"\xff{", "ContentType": "application/json", "TargetVariant": "blue"}
    assert expected == parse(call, Request("POST", "/", "", headers, b"\xff{"))


def test_a_header_of_the_wrong_type_is_refused(catalog: Catalog) -> None:
    call = replace(make_call(catalog, "s3", "PutObject"), uri={"Bucket": "b", "Key": "k"})
    assert "Content" in str(refusal(call, Request("PUT", "/b/k", "", {"content-length": "many"})))


# -- whatever comes, only a refusal ------------------------------------------------------------------------------------

PROTOCOLS = [
    ("sagemaker", "json"),
    ("cloudwatch", "smithy-rpc-v2-cbor"),
    ("cloudwatch", "query"),
    ("iam", "query"),
    ("bedrock-runtime", "rest-json"),
    ("lambda", "rest-json"),
    ("lexv2-runtime", "rest-json"),
    ("s3", "rest-xml"),
]

trees: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def misfits(draw: st.DrawFn, shape: Any) -> Any:
    """Structures with the right names and anything under them, so that readers get deeper than the first type check."""
    names = list(shape.members) if shape is not None and shape.type_name == "structure" else []
    chosen = draw(st.lists(st.sampled_from(names), max_size=4, unique=True)) if names else []
    return {name: draw(misfits(shape.members[name]) | trees) for name in chosen} or draw(trees)


def as_xml(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"<{name}>{as_xml(inner)}</{name}>" for name, inner in value.items())
    return "".join(map(as_xml, value)) if isinstance(value, list) else str(value)


def as_form(value: Any, prefix: str = "") -> str:
    if isinstance(value, dict):
        return "&".join(as_form(inner, f"{prefix}.{name}".strip(".")) for name, inner in value.items())
    return (
        f"{prefix}={value}"
        if not isinstance(value, list)
        else "&".join(as_form(x, f"{prefix}.member.1") for x in value)
    )


def encode(protocol: str, tree: Any) -> bytes:
    if protocol == "smithy-rpc-v2-cbor":
        return cbor.encode(tree)
    if protocol == "query":
        return as_form(tree).encode("utf-8", "replace")
    if protocol == "rest-xml":
        return f"<r>{as_xml(tree)}</r>".encode("utf-8", "replace")
    return msgspec.json.encode(tree)


@pytest.mark.parametrize(("service", "protocol"), PROTOCOLS)
@settings(deadline=None)
@given(data=st.data(), noise=st.binary(max_size=40), headers=st.text(max_size=12))
def test_no_body_query_or_header_breaks_the_parsers(
    catalog: Catalog, service: str, protocol: str, data: st.DataObject, noise: bytes, headers: str
) -> None:
    name = data.draw(st.sampled_from(sorted(catalog.services[service].operations)))
    call = make_call(catalog, service, name, protocol)
    shape = call.operation.input_shape
    uri, header_names, query = {}, {}, ""
    for member_name, member in shape.members.items() if shape is not None else ():
        location, wire = member.serialization.get("location"), member.serialization.get("name", member_name)
        if location == "uri":
            uri[wire] = headers
        elif location == "querystring":
            query += f"&{wire}={headers}"
        elif location in ("header", "headers"):
            header_names[wire.lower()] = headers
    body = data.draw(st.just(noise) | misfits(shape).map(lambda tree: encode(protocol, tree)))
    request = Request("POST", "/", query, data.draw(st.sampled_from([{}, header_names])), body)
    with contextlib.suppress(SakerError):
        parse(replace(call, uri=uri), request)
