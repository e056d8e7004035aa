from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from botocore.eventstream import EventStream, EventStreamBuffer
from botocore.exceptions import EventStreamError
from botocore.parsers import create_parser

from saker.aws import Call, Catalog, serialize
from saker.core.errors import Throttled
from saker.core.http import Response
from support.aws_wire import each, make_call


class Received:
    """A response's bytes, given out as urllib3 does: in pieces that do not end with messages."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self) -> Iterator[bytes]:
        return (self._data[at : at + 7] for at in range(0, len(self._data), 7))

    def close(self) -> None:
        pass


async def collect(response: Response) -> list[bytes]:
    assert isinstance(response.body, AsyncIterator)
    return [message async for message in response.body]


def events(call: Call, messages: list[bytes]) -> list[dict[str, Any]]:
    """What botocore's client yields to its user."""
    shape = call.operation.output_shape
    member = shape.members[shape.event_stream_name]
    parser = create_parser(call.protocol)._event_stream_parser
    return list(EventStream(Received(b"".join(messages)), member, parser, call.name))


@pytest.fixture
def invoke(catalog: Catalog) -> Call:
    return make_call(catalog, "sagemaker-runtime", "InvokeEndpointWithResponseStream")


async def test_each_event_is_one_message(invoke: Call) -> None:
    parts = [{"PayloadPart": {"Bytes": text}} for text in (b"one", b"", "zwölf".encode())]
    response = serialize(invoke, {"Body": each(*parts), "ContentType": "text/plain"}, "r-1")
    messages = await collect(response)

    assert 3 == len(messages)
    assert parts == events(invoke, messages)
    assert ("Content-Type", "application/vnd.amazon.eventstream") in response.headers
    assert ("x-amzn-RequestId", "r-1") in response.headers
    assert ("X-Amzn-SageMaker-Content-Type", "text/plain") in response.headers


async def test_an_event_is_sent_before_the_next_one_exists(invoke: Call) -> None:
    go_on = asyncio.Event()

    async def slow() -> AsyncIterator[dict[str, Any]]:
        yield {"PayloadPart": {"Bytes": b"first"}}
        await go_on.wait()
        yield {"PayloadPart": {"Bytes": b"second"}}

    body = serialize(invoke, {"Body": slow()}, "r").body
    assert isinstance(body, AsyncIterator)
    assert b"first" in await anext(body)
    go_on.set()
    assert b"second" in await anext(body)


async def test_headers_have_types_and_checksums(invoke: Call) -> None:
    (message,) = await collect(serialize(invoke, {"Body": each({"PayloadPart": {"Bytes": b"x"}})}, "r"))
    buffer = EventStreamBuffer()
    buffer.add_data(message)
    expected = {":event-type": "PayloadPart", ":content-type": "application/octet-stream", ":message-type": "event"}
    assert expected == next(buffer).headers


async def test_a_json_service_begins_with_its_initial_response(catalog: Catalog) -> None:
    call = make_call(catalog, "logs", "StartLiveTail")
    start = {"sessionStart": {"requestId": "a", "logEventFilterPattern": "x"}}
    messages = await collect(serialize(call, {"responseStream": each(start)}, "r"))

    assert 2 == len(messages)
    assert b"initial-response" in messages[0]
    assert [start] == events(call, messages)[-1:]


async def test_structures_are_json(catalog: Catalog) -> None:
    call = make_call(catalog, "bedrock-runtime", "ConverseStream")
    parts = [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Hello"}}},
        {"messageStop": {"stopReason": "end_turn"}},
    ]
    assert parts == events(call, await collect(serialize(call, {"stream": each(*parts)}, "r")))


async def failing() -> AsyncIterator[dict[str, Any]]:
    yield {"PayloadPart": {"Bytes": b"partial"}}
    raise Throttled("Too much.")


async def test_a_modeled_exception_ends_the_stream(invoke: Call) -> None:
    def translate(error: Exception) -> tuple[str, str]:
        return "ModelStreamError", str(error)

    messages = await collect(serialize(invoke, {"Body": failing()}, "r", on_stream_error=translate))

    assert b"partial" in messages[0]
    with pytest.raises(EventStreamError, match=r"\(ModelStreamError\).*Too much"):
        events(invoke, messages)


async def test_any_other_error_ends_the_stream_without_its_words(invoke: Call) -> None:
    messages = await collect(serialize(invoke, {"Body": failing()}, "r"))
    with pytest.raises(EventStreamError, match=r"\(InternalFailure\)") as caught:
        events(invoke, messages)
    assert "Too much" not in str(caught.value)


async def test_an_exception_may_also_come_as_an_event(invoke: Call) -> None:
    fault = {"ModelStreamError": {"Message": "out of memory", "ErrorCode": "ModelInvocationTimeExceeded"}}
    with pytest.raises(EventStreamError, match="out of memory"):
        events(invoke, await collect(serialize(invoke, {"Body": each(fault)}, "r")))


async def test_a_client_that_goes_away_closes_the_source(invoke: Call) -> None:
    closed = []

    async def source() -> AsyncIterator[dict[str, Any]]:
        try:
            while True:
                yield {"PayloadPart": {"Bytes": b"x"}}
        finally:
            closed.append(True)

    body: Any = serialize(invoke, {"Body": source()}, "r").body
    await anext(body)
    await body.aclose()
    assert [True] == closed
