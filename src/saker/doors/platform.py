"""Saker's own routes: health for load balancers, status and keys for the `saker` command."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import msgspec

from saker import __version__
from saker.access import Authenticator
from saker.access.keys import KeyRing
from saker.core.clock import Clock
from saker.core.errors import NotFound, SakerError
from saker.core.http import Request, Response
from saker.core.principal import Principal
from saker.core.suggest import did_you_mean
from saker.doors.base import Sample, Work
from saker.doors.bodies import read_json
from saker.doors.openai.errors import respond_error
from saker.serving.base import Endpoint
from saker.serving.records import Records
from saker.settings import Settings
from saker.telemetry import Metrics

PREFIX = "/saker/"
HEALTH = ("/health", "/ping")
"""Open to everyone: they say that the platform runs and nothing else."""


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /saker/keys."""

    name: str


class PlatformDoor:
    """Health checks and /saker/…"""

    name = "platform"

    def __init__(
        self,
        keys: KeyRing,
        endpoints: Records[Endpoint],
        authenticator: Authenticator,
        settings: Settings,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._keys = keys
        self._endpoints = endpoints
        self._authenticator = authenticator
        self._settings = settings
        self._metrics = metrics
        self._started_at = clock.now()

    def claims(self, request: Request) -> bool:
        """Health checks and Saker's own prefix."""
        return request.raw_path in HEALTH or request.raw_path.startswith(PREFIX)

    def is_open(self, request: Request) -> bool:
        """Only health checks are open."""
        return request.raw_path in HEALTH and request.method in ("GET", "HEAD")

    def authenticate(self, request: Request) -> Principal:
        """Whose bearer key it is."""
        return self._authenticator.bearer(request)

    def find(self, request: Request, request_id: str) -> Work:
        """The route, with its body read."""
        path = request.raw_path.removeprefix(PREFIX)
        match request.method, path:
            case ("GET" | "HEAD", "/health" | "/ping"):
                return Work("saker:GetHealth", "*", self._health)
            case "GET", "status":
                return Work("saker:GetStatus", "*", self._status)
            case "GET", "keys":
                return Work("iam:ListAccessKeys", "*", self._list_keys)
            case "POST", "keys":
                name = read_json(request.body, NewKey).name
                return Work("iam:CreateAccessKey", "*", lambda: self._create_key(name))
            case "DELETE", _ if path.startswith("keys/"):
                key_id = unquote(path.removeprefix("keys/"))
                return Work("iam:DeleteAccessKey", "*", lambda: self._revoke_key(key_id))
        known = [sample.request.raw_path for sample in self.samples()]
        raise NotFound(
            f"There is no route {request.method} {request.raw_path}.", fix=did_you_mean(request.raw_path, known)
        )

    def error(self, request: Request, error: SakerError, request_id: str) -> Response:
        """The error, as JSON."""
        return respond_error(error)

    def samples(self) -> Iterable[Sample]:
        """A request for every route."""
        for path in HEALTH:
            yield Sample(f"GET {path}", Request("GET", path, "", {}), is_open=True)
        for method, path in (("GET", "status"), ("GET", "keys"), ("POST", "keys"), ("DELETE", "keys/AKIA")):
            yield Sample(f"{method} {PREFIX}{path}", Request(method, PREFIX + path, "", {}, b'{"name": "x"}'))

    async def _health(self) -> Response:
        return _json({"status": "ok"})

    async def _status(self) -> Response:
        endpoints = sorted(self._endpoints.all(), key=lambda endpoint: endpoint.name)
        status = {
            "version": __version__,
            "account_id": self._settings.account_id,
            "region": self._settings.region,
            "pid": os.getpid(),
            "url": self._settings.url,
            "home": str(self._settings.home),
            "started_at": self._started_at,
            "requests": {f"{door} {status}": count for (door, status), count in self._metrics.requests.items()},
            "running": self._metrics.running,
            "endpoints": [{"name": endpoint.name, "status": endpoint.status.value} for endpoint in endpoints],
        }
        return _json(status)

    async def _list_keys(self) -> Response:
        return _json({"keys": await self._keys.list()})

    async def _create_key(self, name: str) -> Response:
        return _json(await self._keys.create(name))

    async def _revoke_key(self, key_id: str) -> Response:
        await self._keys.revoke(key_id)
        return _json({"revoked": key_id})


def _json(body: Any) -> Response:
    return Response(200, [("content-type", "application/json")], msgspec.json.encode(body))
