"""Tells from a request alone which operation of which service it calls, so that every service lives on one port.

In this order: the Smithy-Protocol header, the X-Amz-Target header, the service of the credential scope (its `Action`,
then its URI templates), and for requests without a scope an `Action` or a URI template of any service.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn
from urllib.parse import parse_qsl

from saker.aws.catalog import Catalog, Service
from saker.aws.credential import find_scope
from saker.aws.dialect import Call, Dialect, WireProtocol
from saker.core.errors import InvalidInput
from saker.core.http import Request
from saker.core.suggest import did_you_mean

_UNKNOWN = "UnknownOperationException"


def route(catalog: Catalog, request: Request) -> Call:
    """The operation that the request calls.

    Raises:
        InvalidInput: No service of the catalog has such an operation; the code is "UnknownOperationException",
            "InvalidAction" where the query protocol is spoken, "MethodNotAllowed" for S3.
    """
    if request.header("smithy-protocol") == "rpc-v2-cbor":
        return _route_cbor(catalog, request)
    if target := request.header("x-amz-target"):
        return _route_target(catalog, target)
    candidates = _candidates(catalog, request)
    return _route_action(candidates, request) or _route_template(candidates, request) or _refuse(catalog, request)


def guess_dialect(catalog: Catalog, request: Request) -> Dialect:
    """How to phrase an error for a request that calls no known operation."""
    scope = find_scope(request)
    signed_for = catalog.find_by_signing_name(scope.service) if scope else []
    service = catalog.find_by_target(request.header("x-amz-target").rpartition(".")[0]) or next(iter(signed_for), None)
    protocol = _guess_protocol(request, service)
    return service.dialect(protocol) if service else Dialect(service="", protocol=protocol)


def _guess_protocol(request: Request, service: Service | None) -> WireProtocol:
    if request.header("smithy-protocol") == "rpc-v2-cbor":
        return "smithy-rpc-v2-cbor"
    if "x-amz-target" in request.headers or request.header("content-type").startswith("application/x-amz-json"):
        return "json"
    if _action(request):
        return "query"
    return service.protocols[0] if service else "rest-json"


def _route_cbor(catalog: Catalog, request: Request) -> Call:
    parts = request.raw_path.split("/")
    if len(parts) < 5 or parts[-4] != "service" or parts[-2] != "operation":
        raise InvalidInput(
            f"The path {request.raw_path!r} names no operation.",
            why="Requests in rpc-v2-cbor go to /service/SERVICE/operation/OPERATION.",
            code=_UNKNOWN,
        )
    return _named(catalog, "smithy-rpc-v2-cbor", parts[-3], parts[-1])


def _route_target(catalog: Catalog, target: str) -> Call:
    prefix, _, name = target.rpartition(".")
    return _named(catalog, "json", prefix, name)


def _named(catalog: Catalog, protocol: WireProtocol, prefix: str, name: str) -> Call:
    service = catalog.find_by_target(prefix)
    if service is None:
        raise InvalidInput(f"No service with the target prefix {prefix!r} is served here.", code=_UNKNOWN)
    if name not in service.operations:
        raise InvalidInput(
            f"The service {service.name!r} has no operation {name!r}.",
            fix=did_you_mean(name, service.operations),
            code=_UNKNOWN,
        )
    return _call(service, protocol, name)


def _candidates(catalog: Catalog, request: Request) -> list[Service]:
    """The services that a request could be for: those of its credential scope; all when it has none."""
    scope = find_scope(request)
    return catalog.find_by_signing_name(scope.service) if scope else list(catalog.services.values())


def _route_action(candidates: Iterable[Service], request: Request) -> Call | None:
    speakers = [service for service in candidates if "query" in service.protocols]
    action = _action(request) if speakers else ""
    if not action:
        return None
    found = next((service for service in speakers if action in service.operations), None)
    return _call(found, "query", action) if found else None


def _route_template(candidates: Iterable[Service], request: Request) -> Call | None:
    if _has_dot_segments(request):
        return None
    speakers = [service for service in candidates if service.rest_protocol]
    matches = [(service, match) for service in speakers if (match := service.templates.match(request))]
    if not matches:
        return None
    service, match = max(matches, key=lambda pair: pair[1].rank)
    assert service.rest_protocol is not None
    return _call(service, service.rest_protocol, match.operation.name, match.uri)


def _has_dot_segments(request: Request) -> bool:
    """Whether the path would read differently once normalized; SigV4 signs it normalized, except for S3."""
    if "/." not in request.raw_path or {".", ".."}.isdisjoint(request.raw_path.split("/")):
        return False
    scope = find_scope(request)
    return scope is None or scope.service != "s3"


def _call(service: Service, protocol: WireProtocol, name: str, uri: dict[str, str] | None = None) -> Call:
    return Call(
        service=service.name,
        protocol=protocol,
        signing_name=service.signing_name,
        json_version=service.json_version,
        is_query_compatible=service.is_query_compatible,
        operation=service.operation(name),
        uri=uri or {},
    )


def _action(request: Request) -> str:
    """The `Action` of the query protocol, from the body's form or else from the query; "" when there is none."""
    if b"Action=" in request.body:
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        if "Action" in form:
            return form["Action"]
    return request.parameters.get("Action", [""])[0]


def _refuse(catalog: Catalog, request: Request) -> NoReturn:
    dialect = guess_dialect(catalog, request)
    if dialect.protocol == "query":
        action = _action(request)
        raise InvalidInput(f"Could not find operation {action!r}.", code="InvalidAction")
    where = f" of {dialect.service!r}" if dialect.service else ""
    raise InvalidInput(
        f"No operation{where} answers {request.method} {request.raw_path!r}.",
        code="MethodNotAllowed" if dialect.is_s3 else _UNKNOWN,
    )
