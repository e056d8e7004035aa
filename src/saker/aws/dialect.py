"""What the rest of the room says about one request: which service in which protocol, and which operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

WireProtocol = Literal["json", "rest-json", "rest-xml", "query", "smithy-rpc-v2-cbor"]
"""The protocols of AWS's service models that this room speaks; only `ec2` is left out."""

PROTOCOLS: tuple[WireProtocol, ...] = get_args(WireProtocol)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How to talk to one caller; enough to phrase an error before the operation is known."""

    service: str
    """botocore's name ("sagemaker-runtime"); "" when nothing tells."""
    protocol: WireProtocol
    signing_name: str = ""
    """The service that a signature must be scoped to ("sagemaker"); "" when nothing tells."""
    json_version: str = "1.1"
    is_query_compatible: bool = False
    """Whether errors also carry the code of the service's older query protocol, in a header."""

    @property
    def is_s3(self) -> bool:
        """Whether S3's own rules hold: for paths, payload hashes, error bodies and timestamps."""
        return self.service == "s3"


@dataclass(frozen=True, slots=True)
class Call(Dialect):
    """One request, matched to an operation of a service's model."""

    operation: Any = None
    """botocore's OperationModel."""
    uri: Mapping[str, str] | None = None
    """Values of the URI template's labels, decoded."""

    @property
    def name(self) -> str:
        """The operation's name as botocore spells it ("CreateEndpoint")."""
        return str(self.operation.name)
