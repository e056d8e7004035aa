"""The platform's errors in OpenAI's words.

Source: https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

from typing import Any

import msgspec

from saker.core import errors
from saker.core.http import Response

WIRE: dict[type[errors.SakerError], tuple[int, str, str | None]] = {
    # class: (status, type, code)
    errors.InvalidInput: (400, "invalid_request_error", None),
    errors.TooLarge: (400, "invalid_request_error", "context_length_exceeded"),
    errors.Unauthenticated: (401, "invalid_request_error", "invalid_api_key"),
    errors.PermissionDenied: (403, "invalid_request_error", "permission_denied"),
    errors.NotFound: (404, "invalid_request_error", "model_not_found"),
    errors.Conflict: (409, "invalid_request_error", None),
    errors.Throttled: (429, "requests", "rate_limit_exceeded"),
    errors.Unavailable: (503, "server_error", None),
    errors.DeadlineExceeded: (504, "server_error", None),
    errors.EngineFailure: (500, "server_error", None),
    errors.Internal: (500, "server_error", None),
}


def respond_error(error: errors.SakerError) -> Response:
    """The error's response."""
    status, body = describe(error)
    return Response(status, [("content-type", "application/json")], msgspec.json.encode(body))


def describe(error: errors.SakerError) -> tuple[int, dict[str, Any]]:
    """The error's status and body."""
    status, kind, code = next(WIRE[cls] for cls in type(error).__mro__ if cls in WIRE)
    if error.code == "RequestEntityTooLarge":
        status, code = 413, None
    return status, {"error": {"message": str(error), "type": kind, "param": None, "code": code}}
