"""Routes OpenAI's requests to endpoints: the model's name is the endpoint's name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from saker.access import Authenticator
from saker.core.arn import Arn
from saker.core.clock import Clock
from saker.core.errors import NotFound, SakerError, Unsupported
from saker.core.http import Request, Response
from saker.core.principal import Principal
from saker.core.suggest import did_you_mean
from saker.doors.base import Sample, Work
from saker.doors.bodies import read_json
from saker.doors.openai import responses
from saker.doors.openai.errors import respond_error
from saker.doors.openai.requests import (
    ChatRequest,
    Common,
    CompletionRequest,
    EmbeddingRequest,
    chat_to_generate,
    completion_to_generate,
)
from saker.engine.messages import Chunk, GenerateRequest
from saker.serving.invoke import Invoker

PREFIX = "/v1/"
T = TypeVar("T")
MakeChoice = Callable[[Chunk, bool], dict[str, Any]]
"""Makes a stream's choice of a chunk, and of whether it is its answer's first."""
_JSON = [("content-type", "application/json")]
_EVENTS = [("content-type", "text/event-stream"), ("cache-control", "no-cache")]


class OpenAiDoor:
    """Everything under /v1/."""

    name = "openai"

    def __init__(
        self, invoker: Invoker, authenticator: Authenticator, clock: Clock, region: str, account_id: str
    ) -> None:
        self._invoker = invoker
        self._authenticator = authenticator
        self._clock = clock
        self._region = region
        self._account_id = account_id
        self._routes: dict[tuple[str, str], Callable[[Request], Work]] = {
            ("GET", "models"): self._find_models,
            ("POST", "chat/completions"): self._find_chat,
            ("POST", "completions"): self._find_completion,
            ("POST", "embeddings"): self._find_embedding,
        }

    def claims(self, request: Request) -> bool:
        """Every path under /v1/, unless it is signed as AWS requests are."""
        return request.raw_path.startswith(PREFIX) and not request.header("authorization").startswith("AWS4-")

    def is_open(self, request: Request) -> bool:
        """Nothing here is open."""
        return False

    def authenticate(self, request: Request) -> Principal:
        """Whose bearer key it is."""
        return self._authenticator.bearer(request)

    def find(self, request: Request, request_id: str) -> Work:
        """The route, with its body read."""
        path = request.raw_path.removeprefix(PREFIX).rstrip("/")
        if request.method == "GET" and path.startswith("models/"):
            return self._find_model(path.removeprefix("models/"))
        route = self._routes.get((request.method, path))
        if route is None:
            known = [f"{method} {PREFIX}{name}" for method, name in self._routes]
            raise NotFound(
                f"Unknown request URL: {request.method} {request.raw_path}.",
                fix=did_you_mean(f"{request.method} {request.raw_path}", known),
            )
        return route(request)

    def error(self, request: Request, error: SakerError, request_id: str) -> Response:
        """The error as OpenAI words it."""
        return respond_error(error)

    def samples(self) -> Iterable[Sample]:
        """A request for every route."""
        for method, path in [*self._routes, ("GET", "models/demo")]:
            yield Sample(f"{method} {PREFIX}{path}", Request(method, PREFIX + path, "", {}, b"{}"))

    def _find_models(self, request: Request) -> Work:
        async def work() -> Response:
            rows = [self._model(name) for name in self._invoker.names()]
            return Response(200, list(_JSON), responses.encode({"object": "list", "data": rows}))

        return Work("sagemaker:ListEndpoints", "*", work)

    def _find_model(self, name: str) -> Work:
        async def work() -> Response:
            return Response(200, list(_JSON), responses.encode(self._model(self._invoker.get(name).name)))

        return Work("sagemaker:DescribeEndpoint", self._arn(name), work)

    def _find_chat(self, request: Request) -> Work:
        body = read_json(request.body, ChatRequest)
        generate = chat_to_generate(body)
        work = self._stream_chat if body.stream else self._chat
        return Work("sagemaker:InvokeEndpoint", self._arn(body.model), lambda: work(body, generate))

    def _find_completion(self, request: Request) -> Work:
        body = read_json(request.body, CompletionRequest)
        generates = completion_to_generate(body)
        work = self._stream_completion if body.stream else self._complete
        return Work("sagemaker:InvokeEndpoint", self._arn(body.model), lambda: work(body, generates))

    def _find_embedding(self, request: Request) -> Work:
        body = read_json(request.body, EmbeddingRequest)
        return Work("sagemaker:InvokeEndpoint", self._arn(body.model), lambda: self._embed(body))

    async def _chat(self, body: ChatRequest, generate: GenerateRequest) -> Response:
        route = await self._invoker.route(body.model)
        chunks = await self._invoker.collect(route, generate)
        head = responses.new_head("chat.completion", body.model, self._now())
        choices = [
            responses.chat_choice([c for c in chunks if c.index == index], index, logprobs=generate.logprobs)
            for index in range(generate.n)
        ]
        return Response(200, list(_JSON), responses.whole(head, choices, responses.usage(chunks, generate.n)))

    async def _stream_chat(self, body: ChatRequest, generate: GenerateRequest) -> Response:
        def choice(chunk: Chunk, is_first: bool) -> dict[str, Any]:
            return responses.chat_delta(chunk, logprobs=generate.logprobs, is_first=is_first)

        return await self._stream("chat.completion.chunk", body, generate, choice)

    async def _complete(self, body: CompletionRequest, generates: list[GenerateRequest]) -> Response:
        route = await self._invoker.route(body.model)
        answers = await _all(self._invoker.collect(route, generate) for generate in generates)
        head = responses.new_head("text_completion", body.model, self._now())
        choices: list[dict[str, Any]] = []
        for generate, chunks in zip(generates, answers, strict=True):
            prefix = generate.prompt or "" if body.echo else ""
            choices += [
                responses.text_choice(
                    [c for c in chunks if c.index == index], len(choices) + index, prefix, logprobs=generate.logprobs
                )
                for index in range(generate.n)
            ]
        counts = responses.usage((chunk for chunks in answers for chunk in chunks), generates[0].n)
        return Response(200, list(_JSON), responses.whole(head, choices, counts))

    async def _stream_completion(self, body: CompletionRequest, generates: list[GenerateRequest]) -> Response:
        if len(generates) > 1:
            raise Unsupported("A stream answers one prompt.", fix="Send the prompts one by one, or without 'stream'.")
        (generate,) = generates
        prefix = generate.prompt or "" if body.echo else ""

        def choice(chunk: Chunk, is_first: bool) -> dict[str, Any]:
            before = prefix if is_first else ""
            return responses.text_choice([chunk], chunk.index, before, logprobs=generate.logprobs)

        return await self._stream("text_completion", body, generate, choice)

    async def _stream(self, kind: str, body: Common, generate: GenerateRequest, choice: MakeChoice) -> Response:
        route = await self._invoker.route(body.model)
        chunks = self._invoker.stream(route, generate)
        first = await anext(chunks, None)  # a refusal is an ordinary error, not a broken stream
        head = responses.new_head(kind, body.model, self._now())
        with_usage = body.stream_options is not None and body.stream_options.include_usage
        events = _events(head, _guarded(first, chunks), choice, generate.n, with_usage=with_usage)
        return Response(200, list(_EVENTS), events)

    async def _embed(self, body: EmbeddingRequest) -> Response:
        route = await self._invoker.route(body.model)
        inputs = (body.input,) if isinstance(body.input, str) else body.input
        embedded = await self._invoker.embed(route, inputs)
        content = responses.embeddings(embedded, body.model, as_base64=body.encoding_format == "base64")
        return Response(200, list(_JSON), content)

    def _model(self, name: str) -> dict[str, object]:
        endpoint = self._invoker.get(name)
        return {"id": name, "object": "model", "created": int(endpoint.created_at), "owned_by": self._account_id}

    def _arn(self, endpoint: str) -> str:
        return str(Arn("sagemaker", self._region, self._account_id, f"endpoint/{endpoint.lower()}"))

    def _now(self) -> float:
        return self._clock.now().timestamp()


async def _events(
    head: responses.Head,
    chunks: AsyncIterator[Chunk | SakerError],
    choice: MakeChoice,
    answers: int,
    *,
    with_usage: bool,
) -> AsyncIterator[bytes]:
    """The server-sent events of a streamed answer."""
    begun: set[int] = set()
    finished: list[Chunk] = []
    async for chunk in chunks:
        if isinstance(chunk, SakerError):
            yield responses.error_part(chunk)
            return
        made = choice(chunk, chunk.index not in begun)
        begun.add(chunk.index)
        if chunk.finish is not None:
            finished.append(chunk)
        yield responses.part(head, [made], usage=with_usage)
    if with_usage:
        yield responses.part(head, [], responses.usage(finished, answers), usage=True)
    yield responses.DONE


async def _all(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results, in order; when one fails the others are cancelled, so that none goes on for nobody."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _guarded(first: Chunk | None, rest: AsyncGenerator[Chunk]) -> AsyncIterator[Chunk | SakerError]:
    """The chunks, and last the error that broke them off, if one did."""
    try:
        if first is not None:
            yield first
            async for chunk in rest:
                yield chunk
    except SakerError as error:
        yield error
    finally:
        await rest.aclose()  # a client that goes away frees the slot
