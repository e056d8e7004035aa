"""OpenAI's API as plain HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from support.live import LivePlatform


def send(live: LivePlatform, path: str, body: Any = None, *, key: str | None = None) -> tuple[int, Any]:
    """Status and body: JSON, or for a stream the list of its events."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {live.root.bearer_key if key is None else key}"}
    request = urllib.request.Request(live.url + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = answer.read()
            if answer.headers["content-type"] == "text/event-stream":
                return answer.status, [line.removeprefix(b"data: ") for line in content.split(b"\n\n") if line]
            return answer.status, json.loads(content)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())
