"""Sends a request to a replica of an endpoint: picks the variant by weight and the replica by load."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from saker.core.errors import Conflict, DeadlineExceeded, InvalidInput, NotFound, Unavailable
from saker.core.suggest import did_you_mean
from saker.engine.messages import Chunk, Embedded, GenerateRequest
from saker.fleet import Fleet, Replica
from saker.fleet.base import SetKey
from saker.routing import choose_replica, choose_variant
from saker.serving.base import Endpoint, EndpointStatus, Variant
from saker.serving.records import Records
from saker.settings import Settings


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes."""

    variant: str
    model_name: str
    replica: Replica


class Invoker:
    """Answers requests with the replicas of an endpoint."""

    def __init__(self, records: Records[Endpoint], fleet: Fleet, settings: Settings, account_id: str) -> None:
        self._records = records
        self._fleet = fleet
        self._settings = settings
        self._account_id = account_id
        self._random = random.Random()  # noqa: S311  # spreads load, guards nothing

    def names(self) -> list[str]:
        """The endpoints that take requests, in order."""
        return sorted(endpoint.name for endpoint in self._records.all() if endpoint.takes_requests)

    def get(self, name: str) -> Endpoint:
        """The endpoint, if it takes requests.

        Raises:
            NotFound: No such endpoint.
            Conflict: It is being created or deleted, or has failed.
        """
        endpoint = self._records.find(name)
        if endpoint is None:
            fix = did_you_mean(name, self.names())
            raise NotFound(f"Endpoint {name} of account {self._account_id} not found.", fix=fix)
        if endpoint.takes_requests:
            return endpoint
        fix = f"Wait for it: saker endpoints wait {name}"
        if endpoint.status == EndpointStatus.FAILED:
            fix = f"Cause: {endpoint.failure_reason}"
        raise Conflict(f"Endpoint {name} of account {self._account_id} is {endpoint.status}, not InService.", fix=fix)

    async def route(self, name: str, target_variant: str = "") -> Route:
        """Pick a replica; waits up to the setting `hold_s` when none is ready.

        Args:
            target_variant: Overrides the weights.

        Raises:
            NotFound: No such endpoint.
            Conflict: The endpoint does not take requests.
            InvalidInput: It has no such variant.
            Unavailable: No replica became ready in time.
        """
        endpoint = self.get(name)
        variant = self._variant(endpoint, target_variant)
        assert endpoint.current is not None  # `get` has checked that it takes requests
        key = SetKey(name, endpoint.current.id, variant.name)
        replicas = self._fleet.replicas(key)
        if not replicas:
            await self._fleet.wait_ready([key], self._settings.hold_s)
            replicas = self._fleet.replicas(key)
            if not replicas:
                raise Unavailable(f"Endpoint {name!r} has no replica that accepts requests.", fix="Try again.")
        return Route(variant.name, variant.model_name, choose_replica(replicas, variant.routing, self._random))

    def stream(self, route: Route, request: GenerateRequest) -> AsyncGenerator[Chunk]:
        """The answer as it comes; the first step sends the request. Closing it early frees the replica's slot.

        Raises:
            DeadlineExceeded: The answer took longer than the setting `invoke_timeout_s`.
            SakerError: The engine refused or failed.
        """
        return self._limited(route.replica, request)

    async def collect(self, route: Route, request: GenerateRequest) -> list[Chunk]:
        """The whole answer: one chunk for each of the request's `n`.

        Raises:
            DeadlineExceeded: The answer took longer than the setting `invoke_timeout_s`.
            SakerError: The engine refused or failed.
        """
        try:
            async with asyncio.timeout(self._settings.invoke_timeout_s):
                return await route.replica.collect(request)
        except TimeoutError:
            raise self._too_slow() from None

    async def embed(self, route: Route, inputs: tuple[str, ...]) -> Embedded:
        """Vectors for the texts.

        Raises:
            Unsupported: The model has no embeddings.
            DeadlineExceeded: It took longer than the setting `invoke_timeout_s`.
        """
        try:
            async with asyncio.timeout(self._settings.invoke_timeout_s):
                return await route.replica.embed(inputs)
        except TimeoutError:
            raise self._too_slow() from None

    def _variant(self, endpoint: Endpoint, target: str) -> Variant:
        assert endpoint.current is not None
        variants = [deployed.variant for deployed in endpoint.current.variants]
        if not target:
            return choose_variant(variants, self._random)
        for variant in variants:
            if variant.name == target:
                return variant
        raise InvalidInput(
            f"Variant {target} not found for request.",
            fix=did_you_mean(target, (variant.name for variant in variants)),
        )

    async def _limited(self, replica: Replica, request: GenerateRequest) -> AsyncGenerator[Chunk]:
        # Begun here and not by the caller: an iterator that is closed before its first step runs no `finally`.
        chunks = replica.generate(request)
        # One timer for the whole: a timeout around each token would take a quarter of a stream's time.
        timer = asyncio.get_running_loop().call_later(
            self._settings.invoke_timeout_s, lambda: chunks.give_up(self._too_slow())
        )
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            timer.cancel()
            await chunks.aclose()

    def _too_slow(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"The model's answer took longer than {self._settings.invoke_timeout_s:g} s.",
            fix="Ask for fewer tokens, or raise SAKER_INVOKE_TIMEOUT_S.",
        )
