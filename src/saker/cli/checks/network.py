"""Is the model hub within reach?"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator

from saker.cli.checks.base import Context, Finding

TIMEOUT_S = 5.0


def hub(context: Context) -> Iterator[Finding]:
    """Whether the hub answers; local models need none."""
    if context.is_offline:
        return
    url = context.settings.hf_endpoint
    if not url.startswith(("http://", "https://")):
        fix = "Set HF_ENDPOINT to the hub's https address, or unset it."
        yield Finding("Hub", "fail", f"{url!r} is no web address.", fix)
        return
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=TIMEOUT_S):  # noqa: S310  # checked above
            yield Finding("Hub", "ok", f"{url} answers")
    except urllib.error.HTTPError as error:  # an answer is an answer
        yield Finding("Hub", "ok", f"{url} answers (status {error.code})")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        text = f"{url} does not answer: {reason}. Local models and what was fetched before work without it."
        yield Finding("Hub", "warn", text, "Check the network and HTTPS_PROXY, or name a mirror with HF_ENDPOINT.")
