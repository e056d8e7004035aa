"""Whole requests of botocore's clients, customizations and all, as they leave the client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError

from saker.aws import AccessKey, Catalog, parse, route, serialize, serialize_error, verify
from saker.core.errors import SakerError
from saker.core.http import Request, Response
from support.aws_wire import KEY_ID, SECRET, each

ENDPOINT = "http://127.0.0.1:8750"


class Raw:
    """The part of urllib3's response that botocore reads."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._body

    def read(self, *_: Any, **__: Any) -> bytes:
        body, self._body = self._body, b""
        return body


class Server:
    """Answers a client in this process and remembers what it was asked."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.result: dict[str, Any] = {}
        self.error = ""
        self.asked: tuple[str, str, dict[str, Any]] = ("", "", {})

    def answer(self, request: Request) -> Response:
        call = route(self._catalog, request)
        scope = verify(request, call, {KEY_ID: AccessKey(SECRET)}.get, datetime.now(UTC))
        assert call.signing_name == scope.service
        self.asked = (call.service, call.name, parse(call, request))
        if self.error:
            return serialize_error(call, self.error, "No.", request_id="r-1")
        return serialize(call, self.result, "r-1")

    def before_send(self, request: Any, **_: Any) -> AWSResponse:
        url = urlsplit(request.url)
        decoded = {name.lower(): v.decode() if isinstance(v, bytes) else v for name, v in request.headers.items()}
        body = request.body.read() if hasattr(request.body, "read") else request.body or b""
        body = body.encode() if isinstance(body, str) else body
        response = self.answer(Request(request.method, url.path, url.query, {"host": url.netloc} | decoded, body))
        assert isinstance(response.body, bytes)
        return AWSResponse(request.url, response.status, _Headers(response.headers), Raw(response.body))


class _Headers(dict[str, str]):
    """urllib3's headers compare names without regard to case; botocore asks for them in lower case."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__((name.lower(), value) for name, value in pairs)


@pytest.fixture(scope="module")
def session() -> Any:
    return botocore.session.Session()


@pytest.fixture
def server(catalog: Catalog) -> Server:
    return Server(catalog)


def connect(session: Any, server: Server, service: str, **config: Any) -> Any:
    client = session.create_client(
        service,
        region_name="us-east-1",
        endpoint_url=ENDPOINT,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        config=Config(retries={"max_attempts": 0}, **config),
    )
    client.meta.events.register("before-send.*", server.before_send)
    return client


def test_a_model_is_created(session: Any, server: Server) -> None:
    server.result = {"ModelArn": "arn:aws:sagemaker:us-east-1:000000000000:model/m"}
    answer = connect(session, server, "sagemaker").create_model(
        ModelName="m", PrimaryContainer={"Image": "tgi", "Environment": {"HF_MODEL_ID": "x"}}
    )

    assert server.result["ModelArn"] == answer["ModelArn"]
    assert "r-1" == answer["ResponseMetadata"]["RequestId"]
    container = {"Image": "tgi", "Environment": {"HF_MODEL_ID": "x"}}
    assert ("sagemaker", "CreateModel", {"ModelName": "m", "PrimaryContainer": container}) == server.asked


def test_an_endpoint_is_invoked(session: Any, server: Server) -> None:
    server.result = {"Body": b'[{"generated_text": "hi"}]', "ContentType": "application/json"}
    answer = connect(session, server, "sagemaker-runtime").invoke_endpoint(
        EndpointName="demo",
        Body=b'{"inputs": "x"}',
        ContentType="application/json",
        CustomAttributes="accept_eula=true",
    )
    assert b'[{"generated_text": "hi"}]' == answer["Body"].read()
    assert b'{"inputs": "x"}' == server.asked[2]["Body"]
    assert "accept_eula=true" == server.asked[2]["CustomAttributes"]


def test_metrics_are_put(session: Any, server: Server) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    data = [{"MetricName": "Latency", "Value": 1.5, "Timestamp": moment, "Dimensions": [{"Name": "a", "Value": "b"}]}]
    connect(session, server, "cloudwatch").put_metric_data(Namespace="Saker", MetricData=data)
    assert ("cloudwatch", "PutMetricData", {"Namespace": "Saker", "MetricData": data}) == server.asked


def test_many_metrics_come_compressed(session: Any, server: Server) -> None:
    data = [{"MetricName": f"m{index}", "Value": 1.0} for index in range(1000)]
    connect(session, server, "cloudwatch").put_metric_data(Namespace="Saker", MetricData=data)
    assert data == server.asked[2]["MetricData"]


def test_a_role_is_looked_up(session: Any, server: Server) -> None:
    server.error = "NoSuchEntity"
    client = connect(session, server, "iam")
    with pytest.raises(client.exceptions.NoSuchEntityException) as caught:
        client.get_role(RoleName="sagemaker_execution_role")
    assert 404 == caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_an_object_with_an_odd_name_is_put_and_read(session: Any, server: Server) -> None:
    client = connect(session, server, "s3")
    client.put_object(Bucket="b", Key="a/b c+ü~(1).txt", Body=b"data", Metadata={"k": "v"})
    assert ("s3", "PutObject") == server.asked[:2]
    assert ("a/b c+ü~(1).txt", b"data", {"k": "v"}) == tuple(
        server.asked[2][name] for name in ("Key", "Body", "Metadata")
    )

    server.result = {"Body": b"data", "ETag": '"e"', "LastModified": datetime(2026, 1, 1, tzinfo=UTC)}
    answer = client.get_object(Bucket="b", Key="a/b c+ü~(1).txt", Range="bytes=0-3")
    assert b"data" == answer["Body"].read()
    assert "bytes=0-3" == server.asked[2]["Range"]


def test_objects_are_listed_and_deleted(session: Any, server: Server) -> None:
    client = connect(session, server, "s3")
    server.result = {"Contents": [{"Key": "a&b", "Size": 1}], "IsTruncated": False, "KeyCount": 1}
    assert "a&b" == client.list_objects_v2(Bucket="b", Prefix="a&")["Contents"][0]["Key"]

    server.result = {"Deleted": [{"Key": "a"}]}
    assert "a" == client.delete_objects(Bucket="b", Delete={"Objects": [{"Key": "a"}]})["Deleted"][0]["Key"]
    assert {"Objects": [{"Key": "a"}]} == server.asked[2]["Delete"]


def test_a_missing_bucket_is_a_bare_404(session: Any, server: Server) -> None:
    server.error = "NoSuchBucket"
    client = connect(session, server, "s3")
    with pytest.raises(ClientError) as caught:
        client.head_bucket(Bucket="b")
    assert "404" == caught.value.response["Error"]["Code"]


def test_a_presigned_download_verifies(session: Any, server: Server, catalog: Catalog) -> None:
    client = connect(session, server, "s3", signature_version="s3v4")
    url = urlsplit(client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "a b"}))
    server.result = {"Body": each(b"x")}
    request = Request("GET", url.path, url.query, {"host": url.netloc})

    assert (
        KEY_ID
        == verify(request, route(catalog, request), {KEY_ID: AccessKey(SECRET)}.get, datetime.now(UTC)).access_key_id
    )


def test_a_wrong_secret_is_told_to_the_client(session: Any, catalog: Catalog) -> None:
    class Refusing(Server):
        def answer(self, request: Request) -> Response:
            call = route(catalog, request)
            try:
                verify(request, call, lambda _: AccessKey("another"), datetime.now(UTC))
            except SakerError as error:
                return serialize_error(call, error.code, str(error), request_id="r-1")
            return serialize(call, {}, "r-1")

    with pytest.raises(ClientError, match=r"InvalidSignatureException.*does not match"):
        connect(session, Refusing(catalog), "sagemaker").list_models()
