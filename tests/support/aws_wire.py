"""Builds requests with botocore's own serializers and signers, and reads responses with its parsers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, HeadersDict
from botocore.credentials import Credentials
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from saker.aws import Call, Catalog, Service
from saker.core.http import Request, Response

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
HOST = "127.0.0.1:8750"
KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


def make_request(service: Service, operation: str, parameters: dict[str, Any], protocol: str = "") -> Request:
    """What botocore's client would send, unsigned but for a credential scope."""
    serializer = create_serializer(protocol or service.protocols[0], include_validation=False)
    made = serializer.serialize_to_request(parameters, service.operation(operation))
    path, _, query = made["url_path"].partition("?")
    extra = made["query_string"]
    query = "&".join(part for part in (query, urlencode(extra, doseq=True) if extra else "") if part)
    headers = {name.lower(): str(value) for name, value in made["headers"].items()}
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={KEY_ID}/20260101/us-east-1/{service.signing_name}/aws4_request"
    )
    return Request(made["method"], path, query, headers, to_body(made["body"]))


def to_body(body: Any) -> bytes:
    """A serializer's body as bytes; the query protocol's is a dict."""
    if isinstance(body, dict):
        return urlencode(body).encode()
    return body.encode() if isinstance(body, str) else bytes(body)


def read_response(call: Call, response: Response) -> dict[str, Any]:
    """What botocore's client makes of a response, without its metadata."""
    parser = create_parser(call.protocol)
    shape = call.operation.output_shape
    has_raw_body = shape is not None and shape.serialization.get("payload") and response.status < 300
    assert isinstance(response.body, bytes)
    raw = {
        "status_code": response.status,
        "headers": HeadersDict(response.headers),
        # botocore gives its parsers a stream where the body is a blob; anything but bytes does
        "body": bytearray(response.body) if has_raw_body and call.operation.has_streaming_output else response.body,
        "context": {"operation_name": call.name},
    }
    parsed: dict[str, Any] = parser.parse(raw, shape)
    parsed.pop("ResponseMetadata", None)
    return parsed


def make_call(catalog: Catalog, service: str, operation: str, protocol: str = "") -> Call:
    """A call as routing would find it, without a request."""
    found = catalog.services[service]
    return Call(
        service=service,
        protocol=protocol or found.protocols[0],  # type: ignore[arg-type]  # tests name protocols by plain strings
        signing_name=found.signing_name,
        json_version=found.json_version,
        is_query_compatible=found.is_query_compatible,
        operation=found.operation(operation),
        uri={},
    )


def sign(request: AWSRequest, service: str = "sagemaker", signer: Any = SigV4Auth, token: str | None = None) -> Request:
    """The request as it arrives once botocore has signed it; signers of presigned URLs change its query."""
    signer(Credentials(KEY_ID, SECRET, token), service, "us-east-1").add_auth(request)
    return received(request)


def received(request: AWSRequest) -> Request:
    """A client's request as the server gets it."""
    url = urlsplit(request.url)
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = request.data if isinstance(request.data, bytes) else str(request.data or "").encode()
    return Request(request.method, url.path, url.query, {"host": url.netloc} | headers, body)


async def each(*items: Any) -> AsyncIterator[Any]:
    """The items, one by one."""
    for item in items:
        yield item
