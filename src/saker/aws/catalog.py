"""The AWS services that one platform speaks, each from botocore's own model of it, read when it is first called."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from saker.aws.dialect import PROTOCOLS, Dialect, WireProtocol
from saker.aws.model_files import find_model, read_metadata, read_model
from saker.aws.templates import TemplateTable
from saker.core.errors import Unsupported

if TYPE_CHECKING:
    from botocore.model import OperationModel, ServiceModel


class Service:
    """One service: its metadata at once, its model on first use."""

    def __init__(self, name: str) -> None:
        """
        Raises:
            NotFound: botocore has no model of that service.
            Unsupported: It speaks no protocol that this room speaks.
        """
        self.name = name
        self._path = find_model(name)
        metadata = read_metadata(self._path)
        self.signing_name: str = metadata.get("signingName") or metadata["endpointPrefix"]
        self.target_prefix: str = metadata.get("targetPrefix", "")
        self.json_version: str = metadata.get("jsonVersion", "1.1")
        self.is_query_compatible = "awsQueryCompatible" in metadata
        offered = metadata.get("protocols") or [metadata["protocol"]]
        self.protocols: tuple[WireProtocol, ...] = tuple(known for known in PROTOCOLS if known in offered)
        if not self.protocols:
            raise Unsupported(f"The service {name!r} speaks only {', '.join(offered)}.", why="It is not spoken here.")
        self.rest_protocol: WireProtocol | None = next((p for p in self.protocols if p.startswith("rest-")), None)

    @cached_property
    def model(self) -> ServiceModel:
        """botocore's ServiceModel, without its documentation. The first access takes some 50 ms for a large service."""
        from botocore.model import ServiceModel  # botocore.model imports urllib3: not before it is needed

        return ServiceModel(read_model(self._path), self.name)

    @cached_property
    def operations(self) -> frozenset[str]:
        """The names of all operations that AWS offers."""
        return frozenset(self.model.operation_names)

    @cached_property
    def templates(self) -> TemplateTable:
        """The URI templates of all operations; they mean something for the REST protocols only."""
        return TemplateTable(self.operation(name) for name in self.model.operation_names)

    def operation(self, name: str) -> OperationModel:
        """botocore's OperationModel; always the same object, so its shapes are resolved once."""
        return self.model.operation_model(name)

    def dialect(self, protocol: WireProtocol | None = None) -> Dialect:
        """This service spoken in `protocol`, or in the first that it speaks."""
        return Dialect(
            service=self.name,
            protocol=protocol or self.protocols[0],
            signing_name=self.signing_name,
            json_version=self.json_version,
            is_query_compatible=self.is_query_compatible,
        )


class Catalog:
    """The services of one platform, found by signing name and by X-Amz-Target prefix."""

    def __init__(self, services: Iterable[str]) -> None:
        """
        Args:
            services: botocore's names ("sagemaker-runtime"). Where two match a request equally well, the first wins.

        Raises:
            NotFound: botocore has no model of a service.
        """
        self.services = {name: Service(name) for name in services}
        self._by_signing_name: dict[str, list[Service]] = {}
        for service in self.services.values():
            self._by_signing_name.setdefault(service.signing_name, []).append(service)
        self._by_target = {found.target_prefix: found for found in self.services.values() if found.target_prefix}

    def find_by_signing_name(self, signing_name: str) -> list[Service]:
        """All services whose requests are signed for that name; several for "sagemaker", "bedrock", "lex"."""
        return self._by_signing_name.get(signing_name, [])

    def find_by_target(self, prefix: str) -> Service | None:
        """The service whose X-Amz-Target headers start with `prefix`."""
        return self._by_target.get(prefix)
