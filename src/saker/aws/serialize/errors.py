"""Writes errors in the form of the caller's protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saker.aws.dialect import Call, Dialect
from saker.aws.serialize.rest import located_headers
from saker.aws.serialize.text import clean_header
from saker.aws.serialize.tree import cbor_writer, encode_cbor, encode_json, json_writer
from saker.aws.serialize.xml_body import XmlBody
from saker.aws.serialize.xml_writer import document, element, escape
from saker.core.http import Response

_REFUSED = 403
_STATUS = {
    "AccessDenied": _REFUSED,
    "InternalError": 500,
    "InternalFailure": 500,
    "InvalidAccessKeyId": _REFUSED,
    "InvalidClientTokenId": _REFUSED,
    "InvalidSignatureException": _REFUSED,
    "MethodNotAllowed": 405,
    "MissingAuthenticationToken": _REFUSED,
    "MissingAuthenticationTokenException": _REFUSED,
    "NotImplemented": 501,
    "RequestTimeTooSkewed": _REFUSED,
    "SignatureDoesNotMatch": _REFUSED,
    "UnknownOperationException": 404,
    "UnrecognizedClientException": _REFUSED,
}


def default_status(dialect: Dialect, code: str) -> int:
    """The HTTP status that AWS gives a code that this room raises; 400 for all others.

    The json and cbor protocols answer everything that is the client's fault with 400.
    """
    status = _STATUS.get(code, 400)
    return 400 if dialect.protocol in ("json", "smithy-rpc-v2-cbor") and status < 500 else status


def serialize_error(
    dialect: Dialect,
    code: str,
    message: str,
    *,
    request_id: str,
    status: int | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Response:
    """The response that tells the caller of an error.

    Args:
        dialect: The call, or the guessed dialect where no operation matched.
        code: As botocore's clients see it (`error.response["Error"]["Code"]`).
        message: For people.
        request_id: Also in the log.
        status: The HTTP status; None takes the operation's model of that error, or else `default_status`.
        fields: Further members of the error's shape ("ResourceType"); for S3 further elements ("BucketName").
    """
    shape = _find_shape(dialect, code)
    status = status or _modeled_status(shape) or default_status(dialect, code)
    fields = dict(fields or {})
    write = _write_xml if dialect.protocol in ("query", "rest-xml") else _write_tree
    response = write(dialect, shape, code, message, request_id, status, fields)
    if isinstance(dialect, Call) and dialect.operation.http["method"] == "HEAD":
        response.body = b""
    return response


def _find_shape(dialect: Dialect, code: str) -> Any:
    """The shape of that error, where the operation's model knows it."""
    shapes = dialect.operation.error_shapes if isinstance(dialect, Call) else []
    return next((shape for shape in shapes if code in (shape.name, shape.error_code)), None)


def _modeled_status(shape: Any) -> int | None:
    return shape.metadata.get("error", {}).get("httpStatusCode") if shape is not None else None


def _write_tree(
    dialect: Dialect, shape: Any, code: str, message: str, request_id: str, status: int, fields: dict[str, Any]
) -> Response:
    headers = [("x-amzn-RequestId", request_id)]
    name = shape.name if shape is not None and dialect.protocol != "rest-json" else code
    writer = cbor_writer if dialect.protocol == "smithy-rpc-v2-cbor" else json_writer
    body = {"__type": name, _message_name(shape): message} | fields
    if shape is not None:
        headers += located_headers(dict(shape.members), fields)
        in_body = [(key, member) for key, member in shape.members.items() if "location" not in member.serialization]
        body = {"__type": name, _message_name(shape): message} | writer.members(in_body, fields)
    if dialect.is_query_compatible:
        headers.append(("x-amzn-query-error", f"{code};{_fault(status)}"))
    if dialect.protocol == "rest-json":
        headers.append(("x-amzn-ErrorType", clean_header(code)))
        return Response(status, [*headers, ("Content-Type", "application/json")], encode_json(body))
    if dialect.protocol == "json":
        content_type = f"application/x-amz-json-{dialect.json_version}"
        return Response(status, [*headers, ("Content-Type", content_type)], encode_json(body))
    headers += [("Smithy-Protocol", "rpc-v2-cbor"), ("Content-Type", "application/cbor")]
    return Response(status, headers, encode_cbor(body))


def _message_name(shape: Any) -> str:
    """Where the error's shape keeps its message; most say "message", some "Message"."""
    members = shape.members.items() if shape is not None else ()
    return next(
        (member.serialization.get("name", name) for name, member in members if name.lower() == "message"), "message"
    )


def _fault(status: int) -> str:
    return "Sender" if status < 500 else "Receiver"


def _write_xml(
    dialect: Dialect, shape: Any, code: str, message: str, request_id: str, status: int, fields: dict[str, Any]
) -> Response:
    words = element("Code", escape(code)) + element("Message", escape(message))
    headers = [
        ("x-amzn-RequestId", request_id),
        ("Content-Type", "text/xml" if dialect.protocol == "query" else "application/xml"),
    ]
    if dialect.is_s3:
        more = "".join(element(name, escape(str(value))) for name, value in fields.items())
        ids = element("RequestId", escape(request_id)) + element("HostId", escape(request_id))
        headers[:1] = [("x-amz-request-id", request_id), ("x-amz-id-2", request_id)]
        return Response(status, headers, document(element("Error", words + more + ids)))
    if shape is not None:
        headers += located_headers(dict(shape.members), fields)
        words += XmlBody().members(_other_members(shape), fields)
    root = element("Error", element("Type", _fault(status)) + words) + element("RequestId", escape(request_id))
    namespace = _namespace(dialect)
    return Response(status, headers, document(element("ErrorResponse", root, namespace)))


def _other_members(shape: Any) -> list[tuple[str, Any]]:
    return [
        (name, member)
        for name, member in shape.members.items()
        if name.lower() != "message" and "location" not in member.serialization
    ]


def _namespace(dialect: Dialect) -> dict[str, str]:
    uri = dialect.operation.service_model.metadata.get("xmlNamespace") if isinstance(dialect, Call) else None
    return {"xmlns": uri} if isinstance(uri, str) else {}
