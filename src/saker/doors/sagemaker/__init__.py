"""SageMaker's control plane: one file per resource, one method per operation."""

from saker.doors.sagemaker.endpoint_configs import EndpointConfigOperations
from saker.doors.sagemaker.endpoints import EndpointOperations
from saker.doors.sagemaker.models import ModelOperations
from saker.doors.sagemaker.tags import TagOperations

__all__ = ["EndpointConfigOperations", "EndpointOperations", "ModelOperations", "TagOperations"]
