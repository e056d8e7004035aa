"""Makes a response of an operation's result, in the caller's protocol."""

from __future__ import annotations

from typing import Any

from saker.aws.dialect import Call
from saker.aws.serialize.errors import default_status, serialize_error
from saker.aws.serialize.rest import located_headers, write_rest
from saker.aws.serialize.stream import StreamError, write_stream
from saker.aws.serialize.tree import cbor_writer, check_members, encode_cbor, encode_json, json_writer
from saker.aws.serialize.xml_body import XmlBody
from saker.aws.serialize.xml_writer import document, element, escape
from saker.core.http import Response

__all__ = ["StreamError", "default_status", "serialize", "serialize_error"]


def _hide(_error: Exception) -> tuple[str, str]:
    return "InternalFailure", "The stream ended because of an internal error."


def serialize(call: Call, result: dict[str, Any], request_id: str, *, on_stream_error: StreamError = _hide) -> Response:
    """The response of a call that went well.

    Args:
        call: The call.
        result: Members of the output by botocore's names; None counts as absent. Timestamps are datetimes or seconds
            since 1970, blobs bytes, a streaming payload bytes or an async iterator of bytes, an event stream an async
            iterator of dicts with one event each ({"PayloadPart": {"Bytes": b"…"}}).
        request_id: Also in the log.
        on_stream_error: Makes the code and the message of an exception that an event stream raises.

    Raises:
        Internal: The result holds a member that the output has not.
    """
    shape = call.operation.output_shape
    headers = _request_id_headers(call, request_id)
    if shape is not None:
        check_members(shape, result)
        if shape.event_stream_name:
            headers += [*located_headers(shape.members, result), ("Content-Type", "application/vnd.amazon.eventstream")]
            return Response(200, headers, write_stream(call, result, on_stream_error))
    match call.protocol:
        case "json":
            headers.append(("Content-Type", f"application/x-amz-json-{call.json_version}"))
            return Response(200, headers, encode_json(json_writer.write(shape, result) if shape is not None else {}))
        case "smithy-rpc-v2-cbor":
            headers += [("Smithy-Protocol", "rpc-v2-cbor"), ("Content-Type", "application/cbor")]
            return Response(200, headers, encode_cbor(cbor_writer.write(shape, result) if shape is not None else {}))
        case "query":
            return Response(200, [*headers, ("Content-Type", "text/xml")], _query_document(call, result, request_id))
        case "rest-json" | "rest-xml":
            return write_rest(call, result, headers)


def _request_id_headers(call: Call, request_id: str) -> list[tuple[str, str]]:
    if call.is_s3:
        return [("x-amz-request-id", request_id), ("x-amz-id-2", request_id)]
    return [("x-amzn-RequestId", request_id)]


def _query_document(call: Call, result: dict[str, Any], request_id: str) -> bytes:
    shape = call.operation.output_shape
    content = ""
    if shape is not None:
        content = XmlBody().members(shape.members.items(), result)
        wrapper = shape.serialization.get("resultWrapper")
        content = element(wrapper, content) if wrapper else content
    metadata = element("ResponseMetadata", element("RequestId", escape(request_id)))
    namespace = call.operation.service_model.metadata.get("xmlNamespace", "")
    return document(element(f"{call.name}Response", content + metadata, {"xmlns": namespace} if namespace else None))
