"""Reads JSON bodies."""

from __future__ import annotations

from typing import Any

import msgspec

from saker.aws.parse.malformed import MalformedInput
from saker.aws.parse.tree import TreeReader

_decode = msgspec.json.Decoder().decode
reader = TreeReader()


def decode(body: bytes) -> Any:
    """The decoded body; an empty one is an empty structure, as AWS takes it.

    Raises:
        MalformedInput: It is not JSON.
    """
    if not body:
        return {}
    try:
        return _decode(body)
    except RecursionError:
        raise MalformedInput("The JSON is nested too deep") from None
    except (msgspec.MsgspecError, ValueError):
        raise MalformedInput("The body is not valid JSON") from None
