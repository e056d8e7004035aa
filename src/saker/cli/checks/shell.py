"""Do variables of this shell keep clients from the platform?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from saker.cli.checks.base import Context, Finding
from saker.cli.env import UNSET


def client_environment(context: Context) -> Iterator[Finding]:
    """Variables that win over `saker env`, or that still point at another platform."""
    environ = context.environ
    winning = sorted({name for name in UNSET if environ.get(name)} | set(_service_addresses(environ)))
    if winning:
        text = f"{', '.join(winning)} would win over what `saker env` sets."
        yield Finding("Shell", "warn", text, f"Run: unset {' '.join(winning)}")
        return
    set_url = environ.get("AWS_ENDPOINT_URL", "")
    if not set_url:
        yield Finding("Shell", "ok", 'AWS clients are not pointed at Saker here; to do so: eval "$(saker env)"')
    elif set_url.rstrip("/") != context.client.url:
        text = f"AWS_ENDPOINT_URL is {set_url}, and the platform is {context.client.url}."
        yield Finding("Shell", "warn", text, 'Run: eval "$(saker env)"')
    else:
        yield Finding("Shell", "ok", "AWS clients are pointed at the platform")


def _service_addresses(environ: Mapping[str, str]) -> list[str]:
    """Addresses for single services, which win over the one for all."""
    return [name for name in environ if name.startswith("AWS_ENDPOINT_URL_")]
