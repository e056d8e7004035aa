"""What must not get in: callers without credentials, forged and stale signatures, bodies and headers without end."""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from saker.doors.base import Sample
from support.live import LivePlatform


def samples(live: LivePlatform) -> list[Sample]:
    return live.call(lambda platform: [sample for door in platform.doors for sample in door.samples()])


def send(
    live: LivePlatform, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", live.settings.port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_no_route_of_any_door_answers_without_credentials(live: LivePlatform) -> None:
    """Only health checks are open; everything else refuses, and tells nothing."""
    found = samples(live)
    assert len(found) > 25

    for sample in found:
        request = sample.request
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        status, body = send(live, request.method, request.raw_path, request.body, headers)
        if sample.is_open:
            assert (status, body) == (200, b'{"status":"ok"}'), sample.name
        else:
            # AWS's json services answer 400 to what is not signed; the code tells.
            assert status in (401, 403) or b'"MissingAuthenticationTokenException"' in body, (sample.name, status, body)
            assert b"parrot" not in body, sample.name


@pytest.mark.parametrize("path", ["/", "/nowhere", "/../etc/passwd", "/%2e%2e/", "/v1/../saker/keys", "//saker/keys"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_what_no_route_matches_is_refused_all_the_same(live: LivePlatform, method: str, path: str) -> None:
    status, _ = send(live, method, path)

    assert status in (400, 401, 403)


def signed(live: LivePlatform, body: bytes = b"{}", **changes: Any) -> tuple[str, dict[str, str]]:
    """A signed ListModels; `changes` are the key, the secret, the region, the service."""
    credentials = Credentials(
        changes.get("key_id", live.root.access_key_id), changes.get("secret", live.root.secret_access_key)
    )
    headers = {"x-amz-target": "SageMaker.ListModels", "content-type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", live.url + "/", headers=headers, data=body)
    SigV4Auth(credentials, changes.get("service", "sagemaker"), "us-east-1").add_auth(request)
    return request.url, dict(request.headers.items())


def code(body: bytes) -> str:
    return str(json.loads(body)["__type"])


def test_a_good_signature_is_let_in(live: LivePlatform) -> None:
    status, body = send(live, "POST", "/", b"{}", signed(live)[1])

    assert (200, True) == (status, "Models" in json.loads(body))


def test_a_body_that_was_changed_is_refused(live: LivePlatform) -> None:
    status, body = send(live, "POST", "/", b'{"MaxResults": 1}', signed(live)[1])

    assert ("InvalidSignatureException", True) == (code(body), status in (400, 403))


def test_a_header_that_was_changed_is_refused(live: LivePlatform) -> None:
    headers = signed(live)[1] | {"X-Amz-Target": "SageMaker.ListEndpoints", "x-amz-target": "SageMaker.ListEndpoints"}
    del headers["X-Amz-Target"]

    assert "InvalidSignatureException" == code(send(live, "POST", "/", b"{}", headers)[1])


def test_a_wrong_secret_is_refused(live: LivePlatform) -> None:
    headers = signed(live, secret="not-the-secret")[1]

    assert "InvalidSignatureException" == code(send(live, "POST", "/", b"{}", headers)[1])


def test_an_unknown_key_is_refused(live: LivePlatform) -> None:
    headers = signed(live, key_id="AKIAAAAAAAAAAAAAAAAA")[1]

    assert "UnrecognizedClientException" == code(send(live, "POST", "/", b"{}", headers)[1])


def test_a_signature_for_another_service_is_refused(live: LivePlatform) -> None:
    status, _ = send(live, "POST", "/", b"{}", signed(live, service="s3")[1])

    assert status in (400, 403)


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_stale_or_future_date_is_refused(live: LivePlatform, minutes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime.now(UTC) + timedelta(minutes=minutes)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: moment.replace(tzinfo=None))
    headers = signed(live)[1]
    monkeypatch.undo()

    status, body = send(live, "POST", "/", b"{}", headers)

    assert status in (400, 403)
    assert code(body) == "InvalidSignatureException"
    assert re.search(r"Signature (expired|not yet current): \d{8}T\d{6}Z", body.decode())


def test_a_presigned_request_works_until_it_expires(
    live: LivePlatform, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signature covers an empty body, so the first is let in and then misses its prompt."""
    credentials = Credentials(live.root.access_key_id, live.root.secret_access_key)
    answers = []
    for age in (timedelta(0), timedelta(seconds=61)):
        moment = (datetime.now(UTC) - age).replace(tzinfo=None)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda remove_tzinfo=True, moment=moment: moment)
        request = AWSRequest("POST", f"{live.url}/endpoints/{endpoint}/invocations")
        SigV4QueryAuth(credentials, "sagemaker", "us-east-1", expires=60).add_auth(request)
        answers.append(send(live, "POST", request.url.removeprefix(live.url)))

    assert answers[0][0] == 400
    assert b"body" in answers[0][1]
    assert answers[1][0] == 403
    assert b"expired" in answers[1][1]


def test_a_revoked_key_stops_working_with_the_call_that_revokes_it(live: LivePlatform) -> None:
    root = {"authorization": f"Bearer {live.root.bearer_key}"}
    made = json.loads(send(live, "POST", "/saker/keys", b'{"name": "ada"}', root)[1])
    client = live.client("sagemaker", key_id=made["id"], secret=made["secret"])
    before = client.list_models()["ResponseMetadata"]["HTTPStatusCode"]

    send(live, "DELETE", f"/saker/keys/{made['id']}", headers=root)

    assert before == 200
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        client.list_models()
    assert 401 == send(live, "GET", "/v1/models", headers={"authorization": f"Bearer {made['bearer']}"})[0]


def test_a_body_of_100_mb_is_refused_before_it_is_read(live: LivePlatform) -> None:
    with socket.create_connection(("127.0.0.1", live.settings.port), timeout=10) as client:
        client.sendall(
            b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 104857600\r\n"
            b"authorization: Bearer " + live.root.bearer_key.encode() + b"\r\n\r\n"
        )

        answer = client.recv(65536)

    assert b" 413 " in answer.split(b"\r\n")[0]


def test_a_body_without_an_announced_end_is_cut_at_the_limit(live: LivePlatform) -> None:
    part = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with socket.create_connection(("127.0.0.1", live.settings.port), timeout=10) as client:
        client.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        sent = 0
        try:
            while sent < 60 * 1024**2:
                client.sendall(part)
                sent += 65536
        except OSError:
            pass  # the platform hung up, as it should
        else:
            pytest.fail(f"{sent} bytes were taken")

    assert sent >= live.settings.max_body_bytes


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[LivePlatform]:
    with LivePlatform(tmp_path, header_timeout_s=0.5, body_timeout_s=0.5) as platform:
        yield platform


def test_a_client_that_dribbles_its_headers_is_cut_off(impatient: LivePlatform) -> None:
    with socket.create_connection(("127.0.0.1", impatient.settings.port), timeout=10) as client:
        start = time.monotonic()
        client.sendall(b"GET /health HTTP/1.1\r\n")
        try:
            while time.monotonic() - start < 8:
                client.sendall(b"x: y\r\n")
                time.sleep(0.1)
        except OSError:
            pass
        elapsed = time.monotonic() - start

    assert elapsed < 5


def test_a_client_that_dribbles_its_body_is_told_and_cut_off(impatient: LivePlatform) -> None:
    with socket.create_connection(("127.0.0.1", impatient.settings.port), timeout=10) as client:
        client.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")

        answer = client.recv(65536)

    assert re.match(rb"HTTP/1.1 (408|504) ", answer)


@settings(max_examples=150, deadline=None)
@given(
    body=st.one_of(
        st.binary(max_size=300),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.integers(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["inputs", "parameters", "stop", "seed", "model", "messages", "x"]), inner
                )
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
    ),
    path=st.sampled_from(["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/saker/keys"]),
)
def test_no_body_makes_a_fault(live: LivePlatform, body: bytes, path: str) -> None:
    """Whatever arrives, the answer is a refusal that says why, or an answer; never a fault of ours."""
    status, answer = send(live, "POST", path, body, {"authorization": f"Bearer {live.root.bearer_key}"})

    assert status < 500, answer


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=300), target=st.sampled_from(["CreateModel", "ListModels", "AddTags", "CreateEndpoint"]))
def test_no_signed_body_makes_a_fault(live: LivePlatform, body: bytes, target: str) -> None:
    """The same for AWS's wire."""
    headers = {"x-amz-target": f"SageMaker.{target}", "content-type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", live.url + "/", headers=headers, data=body)
    credentials = Credentials(live.root.access_key_id, live.root.secret_access_key)
    SigV4Auth(credentials, "sagemaker", "us-east-1").add_auth(request)

    status, answer = send(live, "POST", "/", body, dict(request.headers.items()))

    assert status < 500, answer
