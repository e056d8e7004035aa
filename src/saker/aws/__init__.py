"""The AWS wire from botocore's own service models: routing, SigV4, parsing, serializing, event streams. Knows no SageMaker."""
