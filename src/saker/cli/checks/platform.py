"""Does the platform run, answer a signed call, and agree about the time?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from saker.cli.checks.base import Context, Finding
from saker.core.errors import SakerError

MAX_SKEW_S = 15 * 60
"""SigV4 refuses signatures that are further off. Source: AWS General Reference, "Signing AWS API requests"."""
HIGH_SKEW_S = 60


def platform(context: Context) -> Iterator[Finding]:
    """Whether it answers a signed call, and how its endpoints are."""
    if context.holder is None:
        yield Finding("Platform", "warn", "It does not run.", "Start it: saker up --detach")
        return
    try:
        endpoints = list(context.client.sagemaker.pages("list_endpoints", "Endpoints"))
    except SakerError as error:
        yield Finding("Platform", "fail", f"{error.what} {error.why}".strip(), error.fix)
        return
    text = f"answers signed calls at {context.client.url} (process id {context.holder.pid})"
    yield Finding("Platform", "ok", text)
    for endpoint in endpoints:
        if endpoint["EndpointStatus"] == "Failed":
            name = endpoint["EndpointName"]
            yield Finding("Endpoint", "warn", f"{name!r} has failed.", f"Its reason: saker endpoints describe {name}")


def clock(context: Context) -> Iterator[Finding]:
    """How far this clock is from the platform's: they differ when it runs in another machine or container."""
    if context.holder is None:
        return
    try:
        date = context.client.head()[1]
        skew_s = abs((datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds())
    except (SakerError, ValueError):  # no answer, which the check above tells; or no date
        return
    if skew_s > HIGH_SKEW_S:
        text = f"{skew_s:.0f} s off the platform's; signatures are refused from {MAX_SKEW_S} s."
        yield Finding("Clock", "fail" if skew_s > MAX_SKEW_S else "warn", text, "Let NTP set both clocks.")
    else:
        yield Finding("Clock", "ok", "agrees with the platform's")
