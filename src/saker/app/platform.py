"""Builds every object of the platform once and hands it to those who need it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from saker.access import Authenticator
from saker.access.credentials import RootCredentials, load_master_key, load_root
from saker.access.keys import KeyRing
from saker.app.body import BodyReader
from saker.app.demo import deploy_demo
from saker.app.gateway import Gateway
from saker.aws import Catalog
from saker.core.clock import Clock, SystemClock
from saker.core.errors import Unavailable
from saker.doors import SERVICES
from saker.doors.aws import AwsDoor
from saker.doors.logs import LogOperations
from saker.doors.openai import OpenAiDoor
from saker.doors.operations import collect
from saker.doors.platform import PlatformDoor
from saker.doors.runtime import RuntimeOperations
from saker.doors.sagemaker import EndpointConfigOperations, EndpointOperations, ModelOperations, TagOperations
from saker.fleet import Fleet
from saker.fleet.base import Launcher, Limits
from saker.fleet.launch.process import ProcessLauncher
from saker.models.environments import EngineEnvironments
from saker.models.store import ModelStore
from saker.serving.base import Endpoint, EndpointConfig, Model
from saker.serving.controller import Controller
from saker.serving.endpoints import Endpoints
from saker.serving.invoke import Invoker
from saker.serving.planner import Planner
from saker.serving.records import Records
from saker.serving.registry import Names, Registry
from saker.serving.tags import Tags
from saker.settings import Settings
from saker.storage.database import open_database
from saker.storage.tables import endpoint_configs, endpoints, models
from saker.telemetry import Metrics

BODY_MEMORY = 10
"""How many bodies of the largest size may be read at once."""


class Platform:
    """The whole platform in one process, but for the model workers."""

    def __init__(
        self, settings: Settings, database: AsyncEngine, root: RootCredentials, launcher: Launcher, clock: Clock
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._database = database
        logs = settings.home / "logs" / "endpoints"
        names = Names(settings.region, settings.account_id)
        self.tags = Tags(database)
        self._models = Records(database, models, Model)
        self._configs = Records(database, endpoint_configs, EndpointConfig)
        self.endpoint_records = Records(database, endpoints, Endpoint)
        self.models = Registry(self._models, names, self.tags, "model", "model")
        self.configs = Registry(self._configs, names, self.tags, "endpoint-config", "endpoint configuration")
        self.registry = Registry(self.endpoint_records, names, self.tags, "endpoint", "endpoint")
        self.endpoints = Endpoints(self.registry, self.endpoint_records, self.configs, self.models, clock)
        self.keys = KeyRing(database, root, load_master_key(settings.home), clock)
        self.fleet = Fleet(launcher, logs, Limits.of(settings), clock=clock)
        environments = EngineEnvironments(
            settings.engines_folder, pip_args=settings.pip_args, installs_on_demand=settings.install_engines
        )
        planner = Planner(ModelStore(settings.home / "models", environments), environments, settings)
        self.controller = Controller(self.endpoints, self.endpoint_records, planner, self.fleet, logs, clock)
        self.invoker = Invoker(self.endpoint_records, self.fleet, settings, settings.account_id)
        self.metrics = Metrics()
        self.gateway = self._build_gateway(Authenticator(self.keys, clock), logs, clock)

    def _build_gateway(self, authenticator: Authenticator, logs: Path, clock: Clock) -> Gateway:
        settings = self.settings
        where = (settings.region, settings.account_id)
        operations = collect(
            ModelOperations(self.models, clock),
            EndpointConfigOperations(self.configs, self.models, clock),
            EndpointOperations(self.endpoints, self.registry, self.endpoint_records, self.fleet),
            TagOperations(
                self.tags,
                {
                    "model": self.models.has_arn,
                    "endpoint-config": self.configs.has_arn,
                    "endpoint": self.registry.has_arn,
                },
            ),
            RuntimeOperations(self.invoker),
            LogOperations(logs, self.endpoint_records, *where),
        )
        self.doors = (
            PlatformDoor(self.keys, self.endpoint_records, authenticator, settings, self.metrics, clock),
            OpenAiDoor(self.invoker, authenticator, clock, *where),
            AwsDoor(Catalog(SERVICES), operations, authenticator, *where),
        )
        body = BodyReader(settings.max_body_bytes, settings.body_timeout_s, BODY_MEMORY * settings.max_body_bytes)
        return Gateway(self.doors, body, self.metrics)

    async def start(self) -> None:
        """Read the stored state and begin to make it true. Returns at once; endpoints come up behind it."""
        for records in (self._models, self._configs, self.endpoint_records):
            await records.load()
        await self.keys.load()
        await self.fleet.start()
        await self.controller.start()
        if self.settings.demo:
            await deploy_demo(self)

    async def close(self) -> None:
        """Stop everything; the wanted state stays."""
        await self.controller.close()
        await self.fleet.close()
        await self._database.dispose()


async def open_platform(settings: Settings, launcher: Launcher | None = None, clock: Clock | None = None) -> Platform:
    """The platform over its data folder, which is made when it does not exist. The caller starts and closes it.

    Raises:
        Unavailable: The data folder cannot be used; says why.
    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Unavailable(
            f"The data folder {str(settings.home)!r} cannot be made.",
            why=f"{error.strerror}.",
            fix="Name another with --home or SAKER_HOME.",
        ) from error
    root = load_root(settings)
    database = await open_database(settings.home / "state.db")
    return Platform(settings, database, root, launcher or ProcessLauncher(), clock or SystemClock())
