"""The serving room put together, with a preparer that does what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from saker.core.errors import SakerError
from saker.fleet import Fleet
from saker.fleet.base import Launcher, Limits, SetKey
from saker.models.base import MemoryEstimate, Preparation, PreparedModel, Progress, ProgressCallback
from saker.models.environments import EngineEnvironments
from saker.serving.base import Container, Endpoint, EndpointConfig, Model, Variant
from saker.serving.controller import Controller
from saker.serving.endpoints import Endpoints
from saker.serving.invoke import Invoker
from saker.serving.planner import Planner
from saker.serving.records import Records
from saker.serving.registry import Names, Registry
from saker.serving.tags import Tags
from saker.settings import Settings
from saker.storage import tables
from support.clock import FakeClock
from support.databases import make_database

REGION, ACCOUNT = "us-east-1", "000000000000"


def make_model(name: str = "m", **environment: str) -> Model:
    """A model whose container names the hub id `acme/<name>`."""
    return Model(name, 1.0, Container(environment={"HF_MODEL_ID": f"acme/{name}"} | environment))


def make_config(name: str = "c", *variants: Variant) -> EndpointConfig:
    """A configuration; one variant of model "m" unless told otherwise."""
    return EndpointConfig(name, 1.0, variants or (Variant("AllTraffic", "m"),))


class FakePreparer:
    """Prepares every model at once, unless the test holds or fails it. Sources are named as `acme/m`."""

    def __init__(self) -> None:
        self.failures: dict[str, Exception] = {}
        self.held: dict[str, asyncio.Event] = {}
        """Preparations of these sources wait for their event."""
        self.running: list[str] = []
        self.cancelled: list[str] = []
        self.seen: list[Preparation] = []
        self.path = Path("/models")
        """Where prepared models are said to be."""

    async def prepare(self, request: Preparation, progress: ProgressCallback) -> PreparedModel:
        """The model, as told."""
        name = request.source.location
        self.seen.append(request)
        self.running.append(name)
        try:
            progress(Progress("download", name, 1, 2))
            if name in self.held:
                await self.held[name].wait()
            if name in self.failures:
                raise self.failures[name]
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        finally:
            self.running.remove(name)
        return PreparedModel(self.path, "fake", "fake", "00", 0, MemoryEstimate(0, 0, 0, 0), notes=("It is a fake.",))

    def fail(self, name: str, error: SakerError | Exception) -> None:
        """Let preparations of `acme/<name>` fail."""
        self.failures[f"acme/{name}"] = error

    def hold(self, name: str) -> asyncio.Event:
        """Let preparations of `acme/<name>` wait for the event."""
        return self.held.setdefault(f"acme/{name}", asyncio.Event())


@dataclass
class Stores:
    """The records and what changes them, without anything that runs."""

    database: AsyncEngine
    clock: FakeClock
    tags: Tags
    models: Registry[Model]
    configs: Registry[EndpointConfig]
    registry: Registry[Endpoint]
    records: Records[Endpoint]
    endpoints: Endpoints

    def endpoint(self, name: str = "demo") -> Endpoint:
        """The endpoint of that name."""
        return self.registry.get(name)

    def status(self, name: str = "demo") -> str:
        """How an endpoint is; "" when there is none."""
        found = self.records.find(name)
        return found.status.value if found is not None else ""

    async def add(self, *records: Model | EndpointConfig) -> None:
        """Store models and configurations."""
        for record in records:
            if isinstance(record, Model):
                await self.models.add(record, {})
            else:
                await self.configs.add(record, {})


@asynccontextmanager
async def open_stores(folder: Path) -> AsyncIterator[Stores]:
    """The stores over the folder's database, with model "m" and configuration "c" in a new one."""
    database = await make_database(folder)
    clock, tags, names = FakeClock(), Tags(database), Names(REGION, ACCOUNT)
    model_records = Records(database, tables.models, Model)
    config_records = Records(database, tables.endpoint_configs, EndpointConfig)
    records = Records(database, tables.endpoints, Endpoint)
    for each in (model_records, config_records, records):
        await each.load()
    models = Registry(model_records, names, tags, "model", "model")
    configs = Registry(config_records, names, tags, "endpoint-config", "endpoint configuration")
    registry = Registry(records, names, tags, "endpoint", "endpoint")
    endpoints = Endpoints(registry, records, configs, models, clock)
    stores = Stores(database, clock, tags, models, configs, registry, records, endpoints)
    try:
        if not model_records.all():
            await stores.add(make_model(), make_config())
        yield stores
    finally:
        await database.dispose()


@dataclass
class Platform:
    """Everything that serves, without doors."""

    stores: Stores
    preparer: FakePreparer
    fleet: Fleet
    controller: Controller
    invoker: Invoker
    logs: Path
    keys: list[SetKey] = field(default_factory=list)

    def key(self, variant: str = "AllTraffic", endpoint: str = "demo") -> SetKey:
        """The replica set that requests to a variant are routed to."""
        current = self.stores.endpoint(endpoint).current
        assert current is not None
        return SetKey(endpoint, current.id, variant)


@asynccontextmanager
async def open_platform(
    folder: Path, launcher: Launcher, preparer: FakePreparer | None = None, **settings: Any
) -> AsyncIterator[Platform]:
    """A platform over the folder's database, started; closing it leaves the records as they are."""
    preparer = preparer or FakePreparer()
    made = Settings(home=folder, **settings)
    async with open_stores(folder) as stores:
        fleet = Fleet(launcher, folder / "logs", Limits.of(made))
        planner = Planner(preparer, EngineEnvironments(folder / "engines"), made)
        controller = Controller(stores.endpoints, stores.records, planner, fleet, folder / "logs", stores.clock)
        invoker = Invoker(stores.records, fleet, made, ACCOUNT)
        await fleet.start()
        await controller.start()
        try:
            yield Platform(stores, preparer, fleet, controller, invoker, folder / "logs")
        finally:
            await controller.close()
            await fleet.close()
