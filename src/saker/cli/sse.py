"""Reads server-sent events.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def lines(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The whole lines of bytes that come in arbitrary parts; a last line without an end counts."""
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        yield from whole
    if rest:
        yield rest


def data(parts: Iterable[bytes]) -> Iterator[str]:
    """The data of every event; several data lines of one event are joined by newlines.

    >>> list(data([b"data:a\\n\\nda", b"ta: b\\n\\n"]))
    ['a', 'b']
    """
    held: list[str] = []
    for line in lines(parts):
        text = line.rstrip(b"\r").decode("utf-8", "replace")
        if text.startswith("data:"):
            held.append(text[5:].removeprefix(" "))
        elif not text and held:
            yield "\n".join(held)
            held = []
    if held:
        yield "\n".join(held)
