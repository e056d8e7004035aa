"""What the outside can call, one package or file per dialect. A door translates and nothing else."""

from saker.doors.logs import LogOperations
from saker.doors.operations import marks
from saker.doors.runtime import RuntimeOperations
from saker.doors.sagemaker import EndpointConfigOperations, EndpointOperations, ModelOperations, TagOperations

SERVICES = ("sagemaker", "sagemaker-runtime", "logs")
"""The AWS services that are served, by botocore's names."""

_HOLDERS = (
    ModelOperations,
    EndpointConfigOperations,
    EndpointOperations,
    TagOperations,
    RuntimeOperations,
    LogOperations,
)


def implemented() -> set[tuple[str, str]]:
    """Every AWS operation that is served: (service, operation)."""
    return {(mark.service, mark.name) for holder in _HOLDERS for mark in marks(holder)}
