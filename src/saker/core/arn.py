"""Amazon Resource Names: made and read in one place.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
"""

from __future__ import annotations

from dataclasses import dataclass

from saker.core.errors import InvalidInput

PARTITION = "aws"


@dataclass(frozen=True, slots=True)
class Arn:
    """One resource's global name.

    >>> str(Arn("sagemaker", "us-east-1", "000000000000", "endpoint/demo"))
    'arn:aws:sagemaker:us-east-1:000000000000:endpoint/demo'
    >>> Arn.parse("arn:aws:sagemaker:us-east-1:000000000000:endpoint/demo").name
    'demo'
    """

    service: str
    region: str
    account_id: str
    resource: str
    """Type and name, as in "endpoint/demo"; a bare name for services without types."""

    def __str__(self) -> str:
        return f"arn:{PARTITION}:{self.service}:{self.region}:{self.account_id}:{self.resource}"

    @property
    def kind(self) -> str:
        """The resource's type: "endpoint"; "" where the service has none."""
        return self.resource.partition("/")[0] if "/" in self.resource else ""

    @property
    def name(self) -> str:
        """The resource's name without its type."""
        return self.resource.partition("/")[2] or self.resource

    @classmethod
    def parse(cls, text: str) -> Arn:
        """Read an ARN.

        Raises:
            InvalidInput: The text has not the six parts of an ARN.
        """
        parts = text.split(":", 5)
        if len(parts) != 6 or parts[0] != "arn" or not parts[2] or not parts[5]:
            raise InvalidInput(
                f"{text!r} is not an ARN.",
                why="An ARN has six parts: arn:partition:service:region:account:resource.",
            )
        return cls(service=parts[2], region=parts[3], account_id=parts[4], resource=parts[5])
