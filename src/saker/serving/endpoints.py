"""Endpoints as callers change them: each change stores what is wanted and returns; the controller brings it about.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html and its neighbours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from saker.core import ids
from saker.core.clock import Clock
from saker.core.errors import Conflict, InvalidInput
from saker.core.suggest import did_you_mean
from saker.serving import lifecycle
from saker.serving.base import (
    DeployedVariant,
    Deployment,
    Endpoint,
    EndpointConfig,
    EndpointStatus,
    Model,
    Variant,
)
from saker.serving.records import Records
from saker.serving.registry import Registry


@dataclass(frozen=True, slots=True)
class VariantChange:
    """A new weight or count for a running variant; None leaves it."""

    name: str
    weight: float | None = None
    count: int | None = None


class Endpoints:
    """Changes endpoints. `on_change` is told every name whose wanted state has changed."""

    def __init__(
        self,
        registry: Registry[Endpoint],
        records: Records[Endpoint],
        configs: Registry[EndpointConfig],
        models: Registry[Model],
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._records = records
        self._configs = configs
        self._models = models
        self._clock = clock
        self._lock = asyncio.Lock()  # between a check of the state and the write that follows from it
        self.on_change: Callable[[str], None] = lambda _: None

    async def create(
        self, name: str, config_name: str, tags: dict[str, str], description: dict[str, Any] | None = None
    ) -> Endpoint:
        """Want a new endpoint.

        Raises:
            AlreadyExists: The name is taken.
            NotFound: The configuration, or a model it names, does not exist.
        """
        deployment = self._resolve(config_name)
        now = self._clock.now().timestamp()
        endpoint = Endpoint(
            name=name,
            status=EndpointStatus.CREATING,
            created_at=now,
            modified_at=now,
            config_name=config_name,
            target=deployment,
            description=description or {},
        )
        await asyncio.shield(self._add(endpoint, tags))
        return endpoint

    async def _add(self, endpoint: Endpoint, tags: dict[str, str]) -> None:
        async with self._lock:
            await self._registry.add(endpoint, tags)
        self.on_change(endpoint.name)

    async def update(self, name: str, config_name: str, *, retain_variants: bool = False) -> Endpoint:
        """Want another configuration: brought up beside the old one, then takes over; no request is dropped.

        Args:
            retain_variants: Keep the present weights and counts of variants that both configurations have.

        Raises:
            NotFound: The endpoint, the configuration or a model does not exist.
            Conflict: The endpoint is changing already.
        """

        def change(endpoint: Endpoint) -> Endpoint:
            self._check_changeable(endpoint)
            deployment = self._resolve(config_name)
            if retain_variants and endpoint.current is not None:
                deployment = _retain(deployment, endpoint.current)
            return lifecycle.updating(endpoint, deployment)

        return await self.transition(name, change)

    async def scale(self, name: str, changes: list[VariantChange]) -> Endpoint:
        """Want other weights and counts of running variants.

        Raises:
            NotFound: No such endpoint.
            InvalidInput: The endpoint has no variant of that name.
            Conflict: The endpoint is changing already, or does not run.
        """

        def change(endpoint: Endpoint) -> Endpoint:
            self._check_changeable(endpoint)
            if endpoint.current is None:
                raise Conflict(f"Endpoint {name!r} runs nothing that could be scaled.", why=endpoint.failure_reason)
            return lifecycle.updating(endpoint, _scaled(name, endpoint.current, changes))

        return await self.transition(name, change)

    async def delete(self, name: str) -> None:
        """Want an endpoint gone. Running requests are finished first, up to the drain timeout.

        Raises:
            NotFound: No such endpoint.
            Conflict: It is being deleted already.
        """

        def change(endpoint: Endpoint) -> Endpoint:
            if endpoint.status == EndpointStatus.DELETING:
                raise self._in_progress(name)
            return replace(endpoint, status=EndpointStatus.DELETING)

        await self.transition(name, change)

    async def transition(self, name: str, change: Callable[[Endpoint], Endpoint]) -> Endpoint:
        """Change an endpoint's record in one piece: `change` sees the newest one, and nothing comes between.

        A caller that is cancelled leaves the change to be completed.

        Raises:
            NotFound: No such endpoint.
            SakerError: Whatever `change` raises; nothing is stored then.
        """
        return await asyncio.shield(self._transition(name, change))

    async def _transition(self, name: str, change: Callable[[Endpoint], Endpoint]) -> Endpoint:
        async with self._lock:
            endpoint = self._registry.get(name)
            changed = change(endpoint)
            if changed is endpoint:
                return endpoint
            stored = replace(changed, modified_at=self._clock.now().timestamp())
            await self._records.replace(stored)
        self.on_change(name)
        return stored

    async def remove(self, name: str) -> None:
        """Forget an endpoint that has been brought down. A caller that is cancelled leaves this to be completed."""
        await asyncio.shield(self._remove(name))

    async def _remove(self, name: str) -> None:
        async with self._lock:
            await self._registry.delete(name)

    async def settle(self) -> None:
        """Return when the changes that have begun are stored. Before the database is closed."""
        async with self._lock:  # taken in turn, so after them
            pass

    def _resolve(self, config_name: str) -> Deployment:
        config = self._configs.get(config_name)
        variants = tuple(
            DeployedVariant(variant, self._models.get(variant.model_name).container) for variant in config.variants
        )
        return Deployment(id=ids.short_id(), config_name=config_name, variants=variants)

    def _check_changeable(self, endpoint: Endpoint) -> None:
        if endpoint.status not in (EndpointStatus.IN_SERVICE, EndpointStatus.FAILED):
            raise self._in_progress(endpoint.name)

    def _in_progress(self, name: str) -> Conflict:
        return Conflict(
            f'Cannot update in-progress endpoint "{self._registry.arn(name)}".',
            fix=f"Wait for it: saker endpoints wait {name}",
        )


def _scaled(endpoint: str, current: Deployment, changes: list[VariantChange]) -> Deployment:
    by_name = {change.name: change for change in changes}
    known = [deployed.variant.name for deployed in current.variants]
    for missing in by_name.keys() - set(known):
        raise InvalidInput(f"Endpoint {endpoint!r} has no variant {missing!r}.", fix=did_you_mean(missing, known))
    variants = tuple(
        replace(deployed, variant=_changed(deployed.variant, by_name.get(deployed.variant.name)))
        for deployed in current.variants
    )
    return replace(current, variants=variants)


def _changed(variant: Variant, change: VariantChange | None) -> Variant:
    if change is None:
        return variant
    return replace(
        variant,
        weight=variant.weight if change.weight is None else change.weight,
        count=variant.count if change.count is None else change.count,
    )


def _retain(deployment: Deployment, current: Deployment) -> Deployment:
    old = {deployed.variant.name: deployed.variant for deployed in current.variants}
    variants = tuple(
        replace(
            deployed,
            variant=replace(
                deployed.variant, weight=old[deployed.variant.name].weight, count=old[deployed.variant.name].count
            ),
        )
        if deployed.variant.name in old
        else deployed
        for deployed in deployment.variants
    )
    return replace(deployment, variants=variants)
