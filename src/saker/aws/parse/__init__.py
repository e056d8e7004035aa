"""Makes a dict of parameters of a request, in the names and types that botocore's clients were given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from saker.aws.dialect import Call
from saker.aws.parse import cbor_body, json_body, query_body
from saker.aws.parse.compression import unpack
from saker.aws.parse.malformed import MalformedInput
from saker.aws.parse.rest import read_rest
from saker.aws.validate import validate
from saker.core.errors import InvalidInput
from saker.core.http import Request

__all__ = ["parse"]


def parse(call: Call, request: Request) -> dict[str, Any]:
    """The operation's parameters; members that the request leaves out are absent.

    Raises:
        InvalidInput: The request cannot be read ("SerializationException", "MalformedXML", "MalformedInput") or breaks
            a constraint of the model ("ValidationException", "ValidationError").
    """
    parameters = read(call, request)
    validate(call, parameters)
    return parameters


def read(call: Call, request: Request) -> dict[str, Any]:
    """The operation's parameters, of the right types and not yet held against the model's constraints.

    Raises:
        InvalidInput: The request cannot be read.
    """
    if call.operation.input_shape is None:
        return {}
    try:
        body = unpack(call.operation, request)
        if body is not request.body:
            request = replace(request, body=body)
        return _read(call, call.operation.input_shape, request)
    except MalformedInput as error:
        raise _unreadable(call, error) from None


def _read(call: Call, shape: Any, request: Request) -> dict[str, Any]:
    match call.protocol:
        case "json":
            return json_body.reader.members(shape.members.items(), json_body.decode(request.body))
        case "smithy-rpc-v2-cbor":
            return cbor_body.reader.members(shape.members.items(), cbor_body.decode(request.body))
        case "query":
            return query_body.read_members(shape, query_body.read_form(request))
        case "rest-json" | "rest-xml":
            return read_rest(call, request)


def _unreadable(call: Call, error: MalformedInput) -> InvalidInput:
    codes = {"rest-xml": "MalformedXML", "query": "MalformedInput"}
    where = f"The member is {'.'.join(error.path)[:200]!r}." if error.path else ""
    return InvalidInput(f"{error.reason}.", why=where, code=codes.get(call.protocol, "SerializationException"))
