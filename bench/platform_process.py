"""A platform in a process of its own, as `saker up` runs it, and clients for it."""

from __future__ import annotations

import http.client
import json
import sys
import time
from pathlib import Path
from typing import Any

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from bench.processes import Failed, Server, free_port, plain_environment
from saker.access.credentials import RootCredentials, read_root

COMMAND = "from saker.app import serve; from saker.settings import load; serve(load())"
REGION = "us-east-1"


class Platform(Server):
    """One platform over a data folder."""

    def __init__(self, home: Path, **settings: str) -> None:
        port = free_port()
        self.home = home
        own = {f"SAKER_{name.upper()}": value for name, value in settings.items()}
        env = plain_environment() | own | {"SAKER_HOME": str(home), "SAKER_PORT": str(port)}
        super().__init__([sys.executable, "-c", COMMAND], port, home / "bench.log", env)

    def is_up(self) -> bool:
        """Whether it answers, and not only listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    @property
    def root(self) -> RootCredentials:
        """The root's keys."""
        found = read_root(self.home / "credentials")
        if found is None:
            raise Failed(f"{self.home} has no credentials yet")
        return found

    def client(self, service: str) -> Any:
        """A botocore client with the root's keys, without retries."""
        return botocore.session.Session().create_client(
            service,
            region_name=REGION,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id=self.root.access_key_id,
            aws_secret_access_key=self.root.secret_access_key,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=300),
        )

    def sign(self, operation: str, calls: list[dict[str, Any]]) -> list[bytes]:
        """The very bytes that botocore's client sends for calls of the runtime. Signatures hold for 15 minutes."""
        client = self.client("sagemaker-runtime")
        sent: list[Any] = []

        def keep(request: Any, **_: Any) -> AWSResponse:
            sent.append(request)
            return AWSResponse(request.url, 200, {}, _NoBody())

        client.meta.events.register("before-send", keep)
        for parameters in calls:
            getattr(client, operation)(**parameters)
        return [_wire(request, self.port) for request in sent]

    def deploy(self, name: str, model: Path | str, **environment: str) -> float:
        """Deploy a model and wait until it serves; returns the seconds from the first call to InService."""
        client = self.client("sagemaker")
        container = {"Image": "saker", "Environment": {"HF_MODEL_ID": str(model), **environment}}
        variant: dict[str, Any] = {"VariantName": "AllTraffic", "ModelName": name, "InitialInstanceCount": 1}
        variant |= {"InstanceType": "ml.m5.large", "InitialVariantWeight": 1.0}
        start = time.perf_counter()
        role = "arn:aws:iam::000000000000:role/bench"
        client.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role)
        client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        client.create_endpoint(EndpointName=name, EndpointConfigName=name)
        while (found := client.describe_endpoint(EndpointName=name))["EndpointStatus"] != "InService":
            if found["EndpointStatus"] == "Failed":
                raise Failed(f"endpoint {name}: {found.get('FailureReason')}")
            time.sleep(0.01)
        return time.perf_counter() - start


class _NoBody:
    """Stands for an answer that was not fetched."""

    def stream(self, **_: Any) -> list[bytes]:
        return [b""]

    def read(self, *_: Any) -> bytes:
        return b""


def _wire(request: Any, port: int) -> bytes:
    path = request.url.partition(f":{port}")[2]
    body = request.body or b""
    body = body.encode() if isinstance(body, str) else body
    headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
    headers |= {"Host": f"127.0.0.1:{port}", "Content-Length": str(len(body))}
    lines = [f"{request.method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def post(port: int, path: str, body: dict[str, Any], **headers: str) -> bytes:
    """An HTTP request with a JSON body, as bytes."""
    content = json.dumps(body).encode()
    all_headers = {"host": f"127.0.0.1:{port}", "content-type": "application/json", "content-length": len(content)}
    all_headers |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in all_headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content
