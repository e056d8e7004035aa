"""Unpacks bodies that clients compress before signing, for the few operations whose model asks for it."""

from __future__ import annotations

import zlib
from typing import Any

from saker.aws.parse.malformed import MalformedInput
from saker.core.http import Request

_MAX_BYTES = 64 * 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS


def unpack(operation: Any, request: Request) -> bytes:
    """The body, decompressed where the operation allows compression and the request says so.

    Elsewhere (S3) the Content-Encoding header describes what is stored, and the body stays as it is.

    Raises:
        MalformedInput: It is not gzip, or longer than 64 MiB once unpacked.
    """
    if not request.header("content-encoding").endswith("gzip") or operation.request_compression is None:
        return request.body
    unpacker = zlib.decompressobj(_GZIP)
    try:
        body = unpacker.decompress(request.body, _MAX_BYTES)
    except zlib.error:
        raise MalformedInput("The body is not valid gzip") from None
    if not unpacker.eof:
        raise MalformedInput(f"The body is cut off, or longer than {_MAX_BYTES} bytes")
    return body
