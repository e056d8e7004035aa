"""SageMaker's runtime: InvokeEndpoint and InvokeEndpointWithResponseStream.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from saker.core.errors import InvalidInput, SakerError
from saker.doors import tgi
from saker.doors.operations import Params, Result, Stream, operation
from saker.engine.messages import Chunk
from saker.serving.invoke import Invoker

_SERVICE = "sagemaker-runtime"
_JSON = ("", "application/json", "application/jsonlines", "application/x-www-form-urlencoded")
"""Content types taken as JSON. Clients that are not told one send none, or curl's form type."""


class RuntimeOperations:
    """The operations that ask a model."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker

    @operation(_SERVICE, "InvokeEndpoint", kind="endpoint", member="EndpointName")
    async def invoke_endpoint(self, request: Params) -> Result:
        """The whole answer at once."""
        body = _read(request)
        if body.stream:
            raise InvalidInput("`stream` is true.", fix="Call InvokeEndpointWithResponseStream to get a stream.")
        generate = tgi.to_generate(body, stream=False)
        route = await self._invoker.route(request["EndpointName"], request.get("TargetVariant", ""))
        chunks = await self._invoker.collect(route, generate)
        return _head(request, route.variant, "application/json") | {"Body": tgi.respond(body, chunks)}

    @operation(_SERVICE, "InvokeEndpointWithResponseStream", kind="endpoint", member="EndpointName")
    async def invoke_endpoint_with_response_stream(self, request: Params) -> Result:
        """The answer as it comes: each PayloadPart holds the server-sent events of one token."""
        body = _read(request)
        generate = tgi.to_generate(body, stream=True)
        route = await self._invoker.route(request["EndpointName"], request.get("TargetVariant", ""))
        chunks = self._invoker.stream(route, generate)
        # The first chunk is waited for here, so that a refusal is an ordinary error and not a broken stream.
        first = await anext(chunks, None)
        parts = _parts(tgi.events(body, _resume(first, chunks)))
        return _head(request, route.variant, "text/event-stream") | {"Body": parts}


def _read(request: Params) -> tgi.TgiRequest:
    content_type = request.get("ContentType", "").partition(";")[0].strip().lower()
    if content_type not in _JSON:
        raise InvalidInput(f"The content type {content_type!r} is not served.", fix="Send application/json.")
    return tgi.read(request.get("Body", b""))


def _head(request: Params, variant: str, content_type: str) -> dict[str, Any]:
    """What answers of both operations carry beside the body. The caller's own attributes come back to it."""
    head = {"ContentType": content_type, "InvokedProductionVariant": variant}
    if "CustomAttributes" in request:
        head["CustomAttributes"] = request["CustomAttributes"]
    return head


async def _resume(first: Chunk | None, rest: AsyncGenerator[Chunk]) -> AsyncIterator[Chunk]:
    try:
        if first is not None:
            yield first
            async for chunk in rest:
                yield chunk
    finally:
        await rest.aclose()  # a client that goes away frees the slot


async def _parts(events: AsyncIterator[bytes]) -> Stream:
    """The events in PayloadParts; a failure half-way becomes the stream's own kind of error."""
    try:
        async for event in events:
            yield {"PayloadPart": {"Bytes": event}}
    except SakerError as error:
        # ModelStreamError: the model's side failed; the request itself was accepted when the stream began.
        yield {"ModelStreamError": {"Message": str(error), "ErrorCode": type(error).__name__}}
