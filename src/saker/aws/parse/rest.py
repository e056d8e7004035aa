"""Reads requests of the two REST protocols: members stand in the path, the query, the headers and the body."""

from __future__ import annotations

import json
import re
from typing import Any

from saker.aws.dialect import Call
from saker.aws.parse import json_body, xml_body
from saker.aws.parse.malformed import MalformedInput, at
from saker.aws.parse.scalar import read_base64, read_text
from saker.aws.parse.xml_document import parse_xml
from saker.core.http import Request

_LIST_ITEM = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*))\s*(?:,|$)')
_HTTP_DATE = re.compile(r"[A-Za-z]{3}, [^,]+")


def read_rest(call: Call, request: Request) -> dict[str, Any]:
    """The members that the request holds, from wherever they stand.

    Raises:
        MalformedInput: Some value has another type than its shape.
    """
    shape = call.operation.input_shape
    found: dict[str, Any] = {}
    in_body: list[tuple[str, Any]] = []
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        if location is None:
            in_body.append((name, member))
            continue
        with at(name):
            value = _read_located(location, name, member, call, request)
        if value is not None:
            found[name] = value
    payload = shape.serialization.get("payload")
    if payload:
        found |= _read_payload(payload, shape.members[payload], call, request.body)
    elif in_body and request.body:
        found |= _read_body(in_body, call, request.body)
    return found


def _read_located(location: str, name: str, member: Any, call: Call, request: Request) -> Any:
    wire = member.serialization.get("name", name)
    if location == "uri":
        value = (call.uri or {}).get(wire)
        return None if value is None else read_text(member, value)
    if location == "querystring":
        return _read_query(wire, member, call, request)
    if location == "header":
        value = request.headers.get(wire.lower())
        return None if value is None else _read_header(member, value)
    if location == "headers":
        prefix = member.serialization.get("name", "").lower()
        return {key[len(prefix) :]: value for key, value in request.headers.items() if key.startswith(prefix)} or None
    return None


def _read_query(wire: str, member: Any, call: Call, request: Request) -> Any:
    parameters = request.parameters
    if member.type_name == "map":
        taken = _query_names(call)
        rest = {name: values for name, values in parameters.items() if name not in taken}
        if member.value.type_name == "list":
            return rest or None
        return {name: values[0] for name, values in rest.items()} or None
    if wire not in parameters:
        return None
    if member.type_name == "list":
        return [read_text(member.member, value) for value in parameters[wire]]
    return read_text(member, parameters[wire][0])


def _query_names(call: Call) -> set[str]:
    """The names that other members of the query have for themselves."""
    located = ((name, member.serialization) for name, member in call.operation.input_shape.members.items())
    return {
        serialization.get("name", name)
        for name, serialization in located
        if serialization.get("location") == "querystring"
    }


def _read_header(member: Any, value: str) -> Any:
    if member.type_name == "list":
        return [read_text(member.member, item) for item in _header_items(member.member, value)]
    if member.serialization.get("jsonvalue"):
        return _json_value(value)
    return read_text(member, value)


def _json_value(value: str) -> Any:
    try:
        return json.loads(read_base64(value))
    except (ValueError, RecursionError):
        raise MalformedInput("A header does not hold JSON in base64") from None


def _header_items(member: Any, value: str) -> list[str]:
    """A header's list; items may be quoted, and HTTP dates hold a comma of their own."""
    if member.type_name == "timestamp" and member.serialization.get("timestampFormat", "rfc822") == "rfc822":
        return _HTTP_DATE.findall(value)
    items = []
    position = 0
    while position < len(value):
        found = _LIST_ITEM.match(value, position)
        if found is None:
            raise MalformedInput("A header's list cannot be read")
        quoted, plain = found.groups()
        items.append(plain.strip() if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        position = found.end()
    return items


def _read_payload(name: str, member: Any, call: Call, body: bytes) -> dict[str, Any]:
    """The one member that is the whole body."""
    if member.type_name == "blob":
        return {name: body} if body or member.serialization.get("streaming") else {}
    if not body:
        return {}
    with at(name):
        if member.type_name == "string":
            return {name: _text(body)}
        if call.protocol == "rest-json":
            return {name: json_body.reader.read(member, json_body.decode(body))}
        return {name: xml_body.read_node(member, parse_xml(body))}


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise MalformedInput("The body is not UTF-8") from None


def _read_body(members: list[tuple[str, Any]], call: Call, body: bytes) -> dict[str, Any]:
    if call.protocol == "rest-json":
        return json_body.reader.members(members, json_body.decode(body))
    return xml_body.read_members(members, parse_xml(body))
