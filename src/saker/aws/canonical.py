"""The canonical form of a request that SigV4 signs.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote_to_bytes

from saker.core.http import Request


def wire_bytes(text: str) -> bytes:
    """The bytes of a request's text. HTTP servers hand out each byte as one character; others are taken as Unicode."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def canonical_path(raw_path: str, *, is_s3: bool) -> str:
    """The path as sent for S3; for others without dot segments and repeated slashes, encoded once more."""
    if is_s3:
        return raw_path or "/"
    if "//" in raw_path or "/." in raw_path:
        raw_path = _normalize(raw_path)
    return quote(wire_bytes(raw_path or "/"), safe="/~")


def _normalize(path: str) -> str:
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    return "/" + "/".join(kept) + ("/" if kept and path.endswith("/") else "")


def canonical_queries(query: str) -> Iterator[str]:
    """The query in the forms in which clients sign it: sorted as sent, then sorted and re-encoded strictly.

    botocore signs what it sends. Other clients sign the strict form and leave the sending to an HTTP library that may
    encode otherwise ("+" for a space). Each form binds every name and value.
    """
    if not query:
        yield ""
        return
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if not pair.startswith("X-Amz-Signature=")]
    as_sent = "&".join(f"{name}={value}" for name, value in sorted(pairs))
    yield as_sent
    strict = "&".join(
        f"{name}={value}" for name, value in sorted((_encode(name), _encode(value)) for name, value in pairs)
    )
    if strict != as_sent:
        yield strict


def _encode(text: str) -> str:
    return quote(unquote_to_bytes(wire_bytes(text.replace("+", " "))), safe="-_.~")


def canonical_headers(request: Request, signed: Iterable[str]) -> str:
    """One line per signed header, its runs of spaces made one; a header that is not there counts as empty."""
    headers = request.headers
    return "".join([f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in signed])
