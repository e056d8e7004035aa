from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from hypothesis import given
from hypothesis import strategies as st

from saker.aws import AccessKey, Catalog, Dialect, VerifiedScope, verify
from saker.core.errors import SakerError, Unauthenticated, Unsupported
from saker.core.http import Request
from support.aws_wire import HOST, KEY_ID, SECRET, make_call, sign

JSON = Dialect(service="sagemaker", protocol="json", signing_name="sagemaker")
QUERY = Dialect(service="iam", protocol="query", signing_name="iam")
S3 = Dialect(service="s3", protocol="rest-xml", signing_name="s3")
BODY = b'{"EndpointName": "demo"}'

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def find_key(key_id: str) -> AccessKey | None:
    return AccessKey(SECRET) if key_id == KEY_ID else None


def check(request: Request, dialect: Dialect = JSON, *, later: timedelta = timedelta()) -> VerifiedScope:
    return verify(request, dialect, find_key, datetime.now(UTC) + later)


def refusal(request: Request, dialect: Dialect = JSON, *, later: timedelta = timedelta()) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        check(request, dialect, later=later)
    return caught.value


def make(
    path: str = "/", query: str = "", method: str = "POST", body: bytes = BODY, headers: dict[str, str] | None = None
) -> AWSRequest:
    url = f"http://{HOST}{path}{'?' if query else ''}{query}"
    return AWSRequest(method, url, {"X-Amz-Target": "SageMaker.DescribeEndpoint"} | (headers or {}), data=body)


def test_a_signed_request_tells_its_key_region_and_service() -> None:
    assert VerifiedScope(KEY_ID, "us-east-1", "sagemaker") == check(sign(make()))


def test_the_second_request_of_a_day_is_verified_with_the_kept_key() -> None:
    assert check(sign(make())) == check(sign(make(body=b"another")))


@pytest.mark.parametrize(
    "path",
    ["/", "/endpoints/demo/invocations", "/a%20b/c", "/a%2Fb/", "/%E1%88%B4", "/a+b~c:d@e", "//a//b/", "/a/./b/../c"],
)
@pytest.mark.parametrize("query", ["", "a=b", "b=2&a=1&a=0", "empty=&flag", "q=%20%2B%3D", "a=b+c", "%C3%A9=x"])
def test_odd_paths_and_queries_verify(path: str, query: str) -> None:
    assert KEY_ID == check(sign(make(path, query))).access_key_id
    assert KEY_ID == check(sign(make(path, query), "s3", S3SigV4Auth), S3).access_key_id


@given(names=st.lists(st.tuples(texts, texts), max_size=4), value=texts)
def test_any_parameters_and_header_values_verify(names: list[tuple[str, str]], value: str) -> None:
    request = AWSRequest(
        "GET", f"http://{HOST}/x", {"X-Amz-Meta": value.encode("ascii", "ignore").decode()}, params=names
    )
    signer = SigV4Auth
    prepared = request.prepare()
    assert KEY_ID == check(sign(AWSRequest("GET", prepared.url, dict(request.headers)), signer=signer)).access_key_id


def test_spaces_within_a_header_do_not_matter() -> None:
    request = sign(make(headers={"X-Amz-Meta": "a  b"}))
    assert KEY_ID == check(replace(request, headers={**request.headers, "x-amz-meta": " a b "})).access_key_id


def test_a_space_signed_as_percent_20_and_sent_as_plus_verifies() -> None:
    request = sign(make(query="q=a%20b"))
    assert KEY_ID == check(replace(request, query="q=a+b")).access_key_id


def test_an_http_date_stands_in_for_the_amazon_date() -> None:
    request = sign(make(headers={"Date": "replaced by botocore"}))
    assert "x-amz-date" not in request.headers
    assert KEY_ID == check(request).access_key_id


@pytest.mark.parametrize("signer", [SigV4QueryAuth, S3SigV4QueryAuth])
def test_a_presigned_url_verifies_until_it_expires(signer: Any) -> None:
    service, dialect = ("s3", S3) if signer is S3SigV4QueryAuth else ("sagemaker", JSON)
    request = sign(AWSRequest("GET", f"http://{HOST}/bucket/a%20key?x=1"), service, signer)

    assert KEY_ID == check(request, dialect, later=timedelta(minutes=59)).access_key_id
    assert "expired" in str(refusal(request, dialect, later=timedelta(minutes=61)))


def test_a_presigned_url_from_the_future_is_refused() -> None:
    request = sign(AWSRequest("GET", f"http://{HOST}/"), signer=SigV4QueryAuth)
    assert "not yet current" in str(refusal(request, later=-timedelta(minutes=16)))


def test_a_presigned_upload_takes_any_body() -> None:
    request = sign(AWSRequest("PUT", f"http://{HOST}/bucket/key"), "s3", S3SigV4QueryAuth)
    assert KEY_ID == check(replace(request, body=b"whatever"), S3).access_key_id


# -- one part changed after signing ------------------------------------------------------------------------------------

TAMPERED: dict[str, Any] = {
    "method": lambda r: replace(r, method="PUT"),
    "path": lambda r: replace(r, raw_path="/other"),
    "query": lambda r: replace(r, query="a=2"),
    "query name": lambda r: replace(r, query="a=1&b"),
    "body": lambda r: replace(r, body=r.body + b" "),
    "signed header": lambda r: replace(r, headers={**r.headers, "x-amz-target": "SageMaker.DeleteEndpoint"}),
    "dropped header": lambda r: replace(r, headers={k: v for k, v in r.headers.items() if k != "x-amz-target"}),
    "added header": lambda r: replace(r, headers={**r.headers, "x-amz-acl": "public-read"}),
    "host": lambda r: replace(r, headers={**r.headers, "host": "elsewhere"}),
    "date": lambda r: replace(r, headers={**r.headers, "x-amz-date": shifted(r.headers["x-amz-date"])}),
    "region": lambda r: authorization(r, "us-east-1", "eu-west-1"),
    "service": lambda r: authorization(r, "/sagemaker/", "/logs/"),
    "signature": lambda r: authorization(r, "Signature=", "Signature=0"),
    "list of signed headers": lambda r: authorization(r, "host;", ""),
}


def authorization(request: Request, old: str, new: str) -> Request:
    assert old in request.headers["authorization"]
    changed = request.headers["authorization"].replace(old, new)
    return replace(request, headers={**request.headers, "authorization": changed})


def shifted(stamp: str) -> str:
    return stamp[:14] + ("0" if stamp[14] != "0" else "1") + "Z"


@pytest.mark.parametrize("part", TAMPERED)
def test_a_change_after_signing_is_refused(part: str) -> None:
    request = sign(make("/path", "a=1"))
    check(request)
    assert "InvalidSignatureException" == refusal(TAMPERED[part](request)).code


@pytest.mark.parametrize("name", ["x=1", "X-Amz-Expires=3600", "X-Amz-SignedHeaders=host", "us-east-1"])
def test_a_changed_presigned_url_is_refused(name: str) -> None:
    request = sign(AWSRequest("GET", f"http://{HOST}/b/k?x=1"), "s3", S3SigV4QueryAuth)
    assert name in request.query
    changed = replace(request, query=request.query.replace(name, name + "1"))
    assert "SignatureDoesNotMatch" == refusal(changed, S3).code


def test_a_body_whose_hash_was_signed_must_be_that_body() -> None:
    request = sign(make("/b/k", method="PUT"), "s3", S3SigV4Auth)
    assert "XAmzContentSHA256Mismatch" == refusal(replace(request, body=b"other"), S3).code


def test_only_s3_and_operations_that_allow_it_may_leave_the_body_unsigned(catalog: Catalog) -> None:
    allowed = make_call(catalog, "lexv2-runtime", "RecognizeUtterance")
    refused = make_call(catalog, "sagemaker-runtime", "InvokeEndpoint")

    def unsigned(service: str) -> Request:
        return sign(make("/x", headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}), service)

    assert KEY_ID == check(unsigned("lex"), allowed).access_key_id
    assert "InvalidSignatureException" == refusal(unsigned("sagemaker"), refused).code


def test_a_body_signed_in_chunks_is_not_supported() -> None:
    request = sign(make("/b/k", headers={"X-Amz-Content-SHA256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}), "s3")
    with pytest.raises(Unsupported):
        check(request, S3)


# -- what AWS answers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "service", "missing", "unknown", "mismatch"),
    [
        (
            JSON,
            "sagemaker",
            "MissingAuthenticationTokenException",
            "UnrecognizedClientException",
            "InvalidSignatureException",
        ),
        (QUERY, "iam", "MissingAuthenticationToken", "InvalidClientTokenId", "SignatureDoesNotMatch"),
        (S3, "s3", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
    ],
)
def test_each_family_of_services_has_its_own_codes(
    dialect: Dialect, service: str, missing: str, unknown: str, mismatch: str
) -> None:
    request = sign(make(), service)
    unsigned = replace(request, headers={"host": HOST})

    assert missing == refusal(unsigned, dialect).code
    assert unknown == refusal(authorization(request, KEY_ID, "AKIDOTHER"), dialect).code
    assert mismatch == refusal(replace(request, raw_path="/other"), dialect).code


def test_a_wrong_signature_reads_as_at_aws() -> None:
    expected = (
        "The request signature we calculated does not match the signature you provided. "
        "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
    )
    assert expected == str(refusal(replace(sign(make()), raw_path="/other")))


def test_an_old_signature_names_the_times() -> None:
    request = sign(make())
    signed = request.headers["x-amz-date"]
    error = refusal(request, later=timedelta(minutes=15, seconds=2))

    assert "InvalidSignatureException" == error.code
    assert str(error).startswith(f"Signature expired: {signed} is now earlier than ")
    assert "- 15 min.)" in str(error)


def test_a_clock_may_be_off_by_fifteen_minutes() -> None:
    request = sign(make())
    assert KEY_ID == check(request, later=timedelta(minutes=14)).access_key_id
    assert KEY_ID == check(request, later=-timedelta(minutes=14)).access_key_id
    assert "not yet current" in str(refusal(request, later=-timedelta(minutes=16)))
    assert "RequestTimeTooSkewed" == refusal(sign(make(), "s3"), S3, later=timedelta(minutes=16)).code


def test_a_signature_for_another_service_is_refused() -> None:
    assert "'sagemaker'" in str(refusal(sign(make(), "logs")))


@pytest.mark.parametrize(
    "header",
    [
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/sagemaker/aws4_request",
        "AWS4-HMAC-SHA256 Credential=AKID/us-east-1/sagemaker, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 Credential=AKID/20200101/r/sagemaker/aws4_request, SignedHeaders=host, Signature=0",
        "AWS4-ECDSA-P256-SHA256 Credential=x, SignedHeaders=host, Signature=0",
        "Bearer sk-something",
        "",
    ],
)
def test_a_malformed_authorization_is_incomplete(header: str) -> None:
    request = Request("POST", "/", "", {"host": HOST, "authorization": header, "x-amz-date": "20260101T000000Z"})
    assert "IncompleteSignatureException" == refusal(request).code


def test_temporary_credentials_need_their_session_token() -> None:
    def find(_key_id: str) -> AccessKey:
        return AccessKey(SECRET, session_token="session")

    now = datetime.now(UTC)
    request = sign(make(), token="session")

    assert KEY_ID == verify(request, JSON, find, now).access_key_id
    for other in (sign(make(), token="another"), sign(make())):
        with pytest.raises(Unauthenticated, match="security token"):
            verify(other, JSON, find, now)
    assert "UnrecognizedClientException" == refusal(request).code


@given(authorization=texts, date=texts, query=texts, dialect=st.sampled_from([JSON, QUERY, S3]))
def test_no_header_or_query_breaks_the_verification(
    authorization: str, date: str, query: str, dialect: Dialect
) -> None:
    for value in (
        authorization,
        f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{date}, SignedHeaders={query}, Signature={date}",
    ):
        headers = {"host": HOST, "authorization": value, "x-amz-date": date}
        with pytest.raises(SakerError):
            check(Request("POST", query, query, headers, b""), dialect)
    presigned = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={date}&X-Amz-Credential={query}&X-Amz-Expires={date}"
    with pytest.raises(SakerError):
        check(Request("GET", "/", presigned, {"host": HOST}), dialect)


@given(st.text(max_size=20), st.text(max_size=20))
def test_even_lone_surrogates_are_only_refused(path: str, header: str) -> None:
    request = sign(make())
    with pytest.raises(SakerError):
        check(replace(request, raw_path=f"/{path}\ud800", headers={**request.headers, "host": header}))
