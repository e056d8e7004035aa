"""A whole platform in this process, on a port of its own, with the fake engine: for tests with real clients."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import botocore.session
import uvicorn
from botocore.config import Config

from saker.access.credentials import RootCredentials, read_root
from saker.app.http_protocol import limited_protocol
from saker.app.listen import bind
from saker.app.platform import Platform, open_platform
from saker.settings import Settings, load

T = TypeVar("T")


class LivePlatform:
    """Runs the platform on a thread; everything a client sees is real."""

    def __init__(self, home: Path, **settings: Any) -> None:
        self.listener = bind("127.0.0.1", 0)
        place = {"home": home, "port": self.listener.getsockname()[1]}
        self.settings: Settings = load(place | {"demo": False, "install_engines": False} | settings, {})
        self.platform: Platform
        self._ready: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop
        self._server: uvicorn.Server
        self._thread = threading.Thread(target=self._run, name="platform")

    def __enter__(self) -> LivePlatform:
        self._thread.start()
        self._ready.result(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self.listener.close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.settings.url

    @property
    def root(self) -> RootCredentials:
        """The root's keys."""
        found = read_root(self.settings.home / "credentials")
        assert found is not None
        return found

    def client(self, service: str, **config: Any) -> Any:
        """A botocore client with the root's keys, without retries: a test wants to see each answer."""
        session = botocore.session.Session()
        return session.create_client(
            service,
            region_name=self.settings.region,
            endpoint_url=self.url,
            aws_access_key_id=config.pop("key_id", self.root.access_key_id),
            aws_secret_access_key=config.pop("secret", self.root.secret_access_key),
            config=Config(retries={"total_max_attempts": 1}, **config),
        )

    def call(self, function: Callable[[Platform], T]) -> T:
        """Run something on the platform's own loop."""
        done: Future[T] = Future()
        self._loop.call_soon_threadsafe(lambda: done.set_result(function(self.platform)))
        return done.result(10)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        try:
            self._loop = asyncio.get_running_loop()
            self.platform = await open_platform(self.settings)
            config = uvicorn.Config(
                self.platform.gateway,
                http=limited_protocol(self.settings.header_timeout_s),
                interface="asgi3",
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=1,
            )
            self._server = uvicorn.Server(config)
            await self.platform.start()
            self._ready.set_result(None)
        except BaseException as error:
            self._ready.set_exception(error)
            raise
        try:
            await self._server.serve(sockets=[self.listener])
        finally:
            await self.platform.close()


def write_fake_model(folder: Path, **fields: Any) -> Path:
    """A model for the fake engine; see `saker.engine.fake.FakeModel` for the fields."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fake.json").write_text(json.dumps(fields))
    return folder


def deploy(
    client: Any,
    name: str,
    model: Path,
    *,
    count: int = 1,
    wait: bool = True,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Model, configuration and endpoint of one name through a SageMaker client."""
    container = {"Image": "fake", "Environment": {"HF_MODEL_ID": str(model)} | dict(environment or {})}
    client.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn="arn:aws:iam::000000000000:role/r")
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InitialInstanceCount": count}
    variant |= {"InstanceType": "ml.m5.large", "InitialVariantWeight": 1.0}
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)
    if wait:
        client.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def wait_until(sagemaker: Any, name: str, status: str, seconds: float = 30) -> dict[str, Any]:
    """The endpoint's description once it has this status."""
    end = time.monotonic() + seconds
    while True:
        described: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=name)
        if described["EndpointStatus"] == status:
            return described
        assert time.monotonic() < end, described
        assert described["EndpointStatus"] != "Failed", described["FailureReason"]
        time.sleep(0.05)
