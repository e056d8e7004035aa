"""uvicorn's HTTP protocol with one addition: a client that dribbles its headers is cut off."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


def limited_protocol(header_timeout_s: float) -> type[HttpToolsProtocol]:
    """A protocol class that closes a connection whose request headers take longer than this.

    uvicorn bounds idle connections only between two requests, so without it a client that sends one byte a minute holds
    its connection for ever.
    """

    class LimitedProtocol(HttpToolsProtocol):
        _header_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._start_header_timer()

        def on_message_begin(self) -> None:
            self._start_header_timer()
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._stop_header_timer()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_header_timer()
            super().connection_lost(exc)

        def _start_header_timer(self) -> None:
            self._stop_header_timer()
            self._header_timer = self.loop.call_later(header_timeout_s, self._cut)

        def _stop_header_timer(self) -> None:
            if self._header_timer is not None:
                self._header_timer.cancel()
                self._header_timer = None

        def _cut(self) -> None:
            if not self.transport.is_closing():
                self.transport.close()

    return LimitedProtocol
