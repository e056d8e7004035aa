"""The pages about what clients see: the operations that are answered, and errors in each dialect."""

from __future__ import annotations

from collections.abc import Mapping

from reference.markdown import page, table
from saker.aws import Catalog, coverage
from saker.core.errors import SakerError
from saker.doors import SERVICES, implemented
from saker.doors.errors import EXACT_STATUS, LOGS, RUNTIME, SAGEMAKER, Codes
from saker.doors.openai.errors import WIRE

AWS: Mapping[str, Codes] = {"SageMaker": SAGEMAKER, "SageMaker runtime": RUNTIME, "CloudWatch Logs": LOGS}


def operations_page() -> str:
    """Which AWS operations are answered. How many there are besides depends on the botocore that is installed."""
    services = coverage(Catalog(SERVICES), implemented())
    return page(
        "AWS operations",
        "These operations are answered; their names, members and errors are those of botocore's service models.",
        "Every other operation of these services answers the error `NotImplementedBySaker` with status 501.",
        "`saker coverage SERVICE` lists both, for the installed botocore.",
        *(line for row in services for line in ("", f"## {row.service}", "", *(f"* `{n}`" for n in row.implemented))),
    )


def errors_page() -> str:
    """How errors look in each dialect."""
    aws_rows = [
        (f"`{kind.__name__}`", _meaning(kind), *(_cell(codes[kind]) for codes in AWS.values())) for kind in LOGS
    ]
    openai_rows = [
        (f"`{kind.__name__}`", status, f"`{wire_type}`", f"`{code}`" if code else "")
        for kind, (status, wire_type, code) in WIRE.items()
    ]
    exact = " and ".join(f"`{code}` ({status})" for code, status in EXACT_STATUS.items())
    return page(
        "Errors",
        "Every error has up to three sentences: what happened, why, and what to do about it.",
        "Inside Saker it is one of a few kinds; each dialect has its own words for them.",
        "A kind that a table leaves out is answered as the more general one:",
        "`TooLarge` and `Unsupported` are kinds of `InvalidInput`, and `AlreadyExists` is a kind of `Conflict`.",
        "[When it fails](../how-to/when-it-fails.md) has the common failures with their fixes.",
        "",
        "## AWS",
        "",
        *table(("kind", "meaning", *AWS), aws_rows),
        "",
        "Signatures that do not hold are answered with AWS's own codes, such as `InvalidSignatureException`.",
        f"{exact} are Saker's own codes and statuses.",
        "",
        "## OpenAI, and Saker's own routes",
        "",
        *table(("kind", "status", "type", "code"), openai_rows),
    )


def _meaning(kind: type[SakerError]) -> str:
    return (kind.__doc__ or "").split(".")[0].split(";")[0] + "."


def _cell(code_and_status: tuple[str, int]) -> str:
    code, status = code_and_status
    return f"`{code}` {status}"
