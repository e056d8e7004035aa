"""Writes event streams: each event becomes one message as it comes, and none waits for another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from typing import Any

from saker.aws import timestamps
from saker.aws.dialect import Call
from saker.aws.serialize.frame import HeaderValue, encode_headers, frame
from saker.aws.serialize.text import to_bytes
from saker.aws.serialize.tree import cbor_writer, encode_cbor, encode_json, json_writer
from saker.aws.serialize.xml_body import XmlBody

StreamError = Callable[[Exception], tuple[str, str]]
"""Makes the code and the message of what went wrong in the middle of a stream."""

_CONTENT_TYPES = {"query": "text/xml", "rest-xml": "text/xml", "smithy-rpc-v2-cbor": "application/cbor"}


def write_stream(call: Call, result: dict[str, Any], on_error: StreamError) -> AsyncIterator[bytes]:
    """The messages of a result whose event stream member is an async iterator of single-member dicts."""
    return _Stream(call, on_error).messages(result)


class _Stream:
    def __init__(self, call: Call, on_error: StreamError) -> None:
        self._call = call
        self._on_error = on_error
        self._output = call.operation.output_shape
        self._name: str = self._output.event_stream_name
        self._events = self._output.members[self._name]
        self._content_type = _CONTENT_TYPES.get(call.protocol, "application/json")

    async def messages(self, result: dict[str, Any]) -> AsyncIterator[bytes]:
        if not self._call.protocol.startswith("rest-"):
            yield self._initial_response(result)
        events: AsyncIterator[dict[str, Any]] = result[self._name]
        try:
            async for event in events:
                yield self._event(event)
        except Exception as error:  # the status is long sent: whatever it is, only a last message can tell it
            yield self._failure(*self._on_error(error))
        finally:
            if hasattr(events, "aclose"):
                await events.aclose()

    def _initial_response(self, result: dict[str, Any]) -> bytes:
        members = [(name, member) for name, member in self._output.members.items() if name != self._name]
        head = _encode_head("event", "initial-response", self._content_type)
        return frame(head, self._encode_members(members, result))

    def _event(self, event: dict[str, Any]) -> bytes:
        ((name, value),) = event.items()
        shape = self._events.members[name]
        content_type, payload = self._payload(shape, value)
        head = _encode_head("exception" if shape.metadata.get("exception") else "event", name, content_type)
        own = {
            member_name: _header_value(member, value[member_name])
            for member_name, member in shape.members.items()
            if member.serialization.get("eventheader") and value.get(member_name) is not None
        }
        return frame(head + encode_headers(own), payload)

    def _payload(self, shape: Any, value: dict[str, Any]) -> tuple[str, bytes]:
        """The content type and the bytes of an event's body."""
        rest = []
        for name, member in shape.members.items():
            if member.serialization.get("eventpayload"):
                return self._explicit_payload(member, value.get(name))
            if not member.serialization.get("eventheader"):
                rest.append((name, member))
        if self._content_type == "text/xml":
            return "text/xml", XmlBody().write(shape, value, shape.name).encode()
        return self._content_type, self._encode_members(rest, value)

    def _explicit_payload(self, member: Any, value: Any) -> tuple[str, bytes]:
        if member.type_name == "blob":
            return "application/octet-stream", to_bytes(value or b"")
        if member.type_name == "string":
            return "text/plain", (value or "").encode()
        if self._content_type == "text/xml":
            return "text/xml", XmlBody().write(member, value or {}, member.name).encode()
        return self._content_type, self._encode_members(member.members.items(), value or {})

    def _encode_members(self, members: Any, value: dict[str, Any]) -> bytes:
        if self._content_type == "application/cbor":
            return encode_cbor(cbor_writer.members(members, value))
        return encode_json(json_writer.members(members, value))

    def _failure(self, code: str, message: str) -> bytes:
        """An exception that the model knows, or else an error that every client raises."""
        shape = self._events.members.get(code)
        if shape is not None and shape.metadata.get("exception"):
            name = next((name for name in shape.members if name.lower() == "message"), None)
            return self._event({code: {name: message} if name else {}})
        head: dict[str, HeaderValue] = {":error-code": code, ":error-message": message[:1024], ":message-type": "error"}
        return frame(encode_headers(head), b"")


@lru_cache(maxsize=256)  # a stream's events all have the same few
def _encode_head(kind: str, name: str, content_type: str) -> bytes:
    return encode_headers({f":{kind}-type": name, ":content-type": content_type, ":message-type": kind})


def _header_value(member: Any, value: Any) -> HeaderValue:
    if member.type_name == "timestamp" and isinstance(value, int | float):
        return timestamps.from_seconds(value)
    header: HeaderValue = value
    return header
