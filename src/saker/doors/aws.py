"""The door of every AWS service: finds the operation in botocore's models, checks signatures, calls the handler."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from saker.access import Authenticator
from saker.aws import Call as WireCall
from saker.aws import Catalog, Dialect, guess_dialect, parse, route, serialize, serialize_error
from saker.core.arn import Arn
from saker.core.errors import SakerError, Unsupported
from saker.core.http import Request, Response
from saker.core.principal import Principal
from saker.doors.base import Sample
from saker.doors.errors import code_of
from saker.doors.operations import Mark, Operation, Params

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AwsCall:
    """One AWS request, parsed and checked against its service's model."""

    wire: WireCall
    operation: Operation
    params: Params
    arn: str
    request_id: str

    @property
    def action(self) -> str:
        """As IAM names it."""
        return f"{self.wire.signing_name}:{self.operation.mark.name}"

    @property
    def resource(self) -> str:
        """The ARN of what it acts on."""
        return self.arn

    async def run(self, principal: Principal) -> Response:
        """Call the handler and write its result."""
        del principal  # the account is one; handlers that depend on the caller will take it
        return serialize(self.wire, await self.operation.handler(self.params), self.request_id)


class AwsDoor:
    """All AWS services on one port."""

    name = "aws"

    def __init__(
        self,
        catalog: Catalog,
        operations: Mapping[tuple[str, str], Operation],
        authenticator: Authenticator,
        region: str,
        account_id: str,
    ) -> None:
        self._catalog = catalog
        self._operations = operations
        self._authenticator = authenticator
        self._region = region
        self._account_id = account_id

    def claims(self, request: Request) -> bool:
        """Everything: this door stands last."""
        return True

    def is_open(self, request: Request) -> bool:
        """Nothing here is open."""
        return False

    def authenticate(self, request: Request) -> Principal:
        """Who signed the request."""
        return self._authenticator.aws(request, self._dialect(request))

    def find(self, request: Request, request_id: str) -> AwsCall:
        """The operation with its parameters.

        Raises:
            InvalidInput: No such operation, or its parameters do not fit its model.
            Unsupported: AWS has the operation and Saker has not.
        """
        wire = self._route(request)
        operation = self._operations.get((wire.service, wire.name))
        if operation is None:
            raise Unsupported(
                f"The operation {wire.name} of {wire.service} is not implemented by Saker.",
                fix=f"See what is: saker coverage {wire.service}",
                code="NotImplementedBySaker",
            )
        params = parse(wire, request)
        return AwsCall(wire, operation, params, self._resource(operation.mark, params), request_id)

    def error(self, request: Request, error: SakerError, request_id: str) -> Response:
        """The error in the protocol of the service that the request is for."""
        dialect = self._dialect(request)
        code, status = code_of(dialect.service, error)
        fields = _fields(code, error)
        return serialize_error(dialect, code, str(error), request_id=request_id, status=status, fields=fields)

    def samples(self) -> Iterable[Sample]:
        """A request for every operation."""
        for service, name in sorted(self._operations):
            wire = self._catalog.services[service]
            headers = {"host": "127.0.0.1"}
            if wire.target_prefix:
                headers["x-amz-target"] = f"{wire.target_prefix}.{name}"
                yield Sample(f"{service}:{name}", Request("POST", "/", "", headers, b"{}"))
            else:
                http = wire.operation(name).http
                path = http["requestUri"].replace("{", "").replace("}", "")
                yield Sample(f"{service}:{name}", Request(http["method"], path, "", headers, b"{}"))

    def _route(self, request: Request) -> WireCall:
        if request.route is None:
            request.route = route(self._catalog, request)
        found: WireCall = request.route
        return found

    def _dialect(self, request: Request) -> Dialect:
        try:
            return self._route(request)
        except SakerError:
            return guess_dialect(self._catalog, request)

    def _resource(self, mark: Mark, params: Params) -> str:
        value = str(params.get(mark.member, "")) if mark.member else ""
        if value.startswith("arn:"):
            return str(Arn.parse(value))
        if not mark.kind or not value:
            return "*"
        service = "sagemaker" if mark.service.startswith("sagemaker") else mark.service
        return str(Arn(service, self._region, self._account_id, f"{mark.kind}/{value.lower()}"))


def _fields(code: str, error: SakerError) -> dict[str, Any]:
    """Further members of an error's shape."""
    if code == "ModelError":
        return {"OriginalStatusCode": 500, "OriginalMessage": str(error)}
    return {}
