"""Writes responses of the two REST protocols: members go to the status, the headers and the body."""

from __future__ import annotations

from typing import Any

from saker.aws.dialect import Call
from saker.aws.serialize.text import clean_header, write_header
from saker.aws.serialize.tree import check_members, encode_json, json_writer
from saker.aws.serialize.xml_body import XmlBody
from saker.aws.serialize.xml_writer import document, element, escape
from saker.core.http import Response

_S3_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
# S3's root elements that are not the operation's name and "Result"; some clients look at them.
_S3_ROOTS = {
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
    "ListBuckets": "ListAllMyBucketsResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
}
_BODILESS = (204, 304)


def write_rest(call: Call, result: dict[str, Any], headers: list[tuple[str, str]]) -> Response:
    """The response; `headers` are what it starts with."""
    shape = call.operation.output_shape
    response = Response(status=call.operation.http.get("responseCode", 200), headers=headers)
    members = {} if shape is None else dict(shape.members)
    if shape is not None:
        check_members(shape, result)
        response.status = next(
            (int(result[name]) for name in _status_names(members) if name in result), response.status
        )
        headers += located_headers(members, result)
    in_body = {name: member for name, member in members.items() if not _is_outside_body(member)}
    content_type = _write_body(call, shape, in_body, result, response)
    if response.status in _BODILESS or call.operation.http["method"] == "HEAD":
        response.body = b""
    elif content_type and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", content_type))
    return response


def located_headers(members: dict[str, Any], value: dict[str, Any]) -> list[tuple[str, str]]:
    """The members of a structure that travel in headers."""
    found = []
    for name, member in members.items():
        inner = value.get(name)
        if inner is None:
            continue
        location, wire = member.serialization.get("location"), member.serialization.get("name", "")
        if location == "header":
            found.append((wire or name, write_header(member, inner)))
        elif location == "headers":
            found += [(wire + clean_header(key), clean_header(str(text))) for key, text in inner.items()]
    return found


def _is_outside_body(member: Any) -> bool:
    """Whether a member of an output travels elsewhere; the places that only requests have do not count."""
    return member.serialization.get("location") in ("header", "headers", "statusCode")


def _status_names(members: dict[str, Any]) -> list[str]:
    return [name for name, member in members.items() if member.serialization.get("location") == "statusCode"]


def _write_body(call: Call, shape: Any, in_body: dict[str, Any], result: dict[str, Any], response: Response) -> str:
    """Sets the response's body; returns its content type."""
    payload = shape.serialization.get("payload") if shape is not None else None
    if payload:
        return _write_payload(call, shape.members[payload], result.get(payload), response)
    if call.protocol == "rest-json":
        response.body = encode_json(json_writer.members(in_body.items(), result))
        return "application/json"
    if in_body:
        response.body = _xml_document(call, shape, in_body, result)
    return "application/xml"


def _write_payload(call: Call, member: Any, value: Any, response: Response) -> str:
    if member.type_name in ("blob", "string"):
        response.body = value.encode() if isinstance(value, str) else value if value is not None else b""
        return "application/octet-stream" if member.type_name == "blob" else "text/plain"
    if call.protocol == "rest-json":
        is_structure = member.type_name == "structure"
        response.body = encode_json(json_writer.write(member, value)) if value is not None else b"{}" * is_structure
        return "application/json"
    if value is not None:
        response.body = _xml_payload(call, member, value)
    return "application/xml"


def _xml_document(call: Call, shape: Any, in_body: dict[str, Any], result: dict[str, Any]) -> bytes:
    name = call.name + "Result"
    if call.is_s3:
        name = _S3_ROOTS.get(call.name, name)
        if call.name == "GetBucketLocation":  # the one result that is its root's text
            return document(
                element("LocationConstraint", escape(result.get("LocationConstraint") or ""), _namespace(call))
            )
    writer = _xml(call)
    attributes = _namespace(call) | writer.attributes(shape, result)
    return document(element(name, writer.members(in_body.items(), result), attributes))


def _xml_payload(call: Call, member: Any, value: dict[str, Any]) -> bytes:
    writer = _xml(call)
    check_members(member, value)
    attributes = _namespace(call, member) | writer.attributes(member, value)
    name = member.serialization.get("name", member.name)
    return document(element(name, writer.members(member.members.items(), value), attributes))


def _xml(call: Call) -> XmlBody:
    return XmlBody("iso8601_ms" if call.is_s3 else "iso8601")


def _namespace(call: Call, shape: Any = None) -> dict[str, str]:
    if call.is_s3:
        return {"xmlns": _S3_NAMESPACE}
    own = shape.serialization.get("xmlNamespace") if shape is not None else None
    namespace = own or call.operation.service_model.metadata.get("xmlNamespace")
    if isinstance(namespace, dict):
        return {} if namespace.get("prefix") else {"xmlns": namespace["uri"]}
    return {"xmlns": namespace} if namespace else {}
