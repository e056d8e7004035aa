"""Runs the platform in the foreground: binds the port, serves until told to stop, leaves nothing behind."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from saker import telemetry
from saker.app.http_protocol import limited_protocol
from saker.app.listen import BACKLOG, bind
from saker.app.platform import open_platform
from saker.settings import Settings
from saker.storage.lock import FolderLock

SHUTDOWN_S = 10
"""Time for running requests when the platform stops."""

_log = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Run the platform until SIGINT or SIGTERM.

    Raises:
        Conflict: The port or the data folder is in use.
        Unavailable: The data folder cannot be used.
    """
    telemetry.configure(settings.log_level)
    with _runner() as runner:
        runner.run(_serve(settings))


@contextmanager
def _runner() -> Iterator[asyncio.Runner]:
    """An event loop of uvloop's where that is installed."""
    factory = uvicorn.Config(app="", log_config=None).get_loop_factory()
    with asyncio.Runner(loop_factory=factory) as runner:
        yield runner


async def _serve(settings: Settings) -> None:
    listener = bind(settings.host, settings.port)
    settings = dataclasses.replace(settings, port=listener.getsockname()[1])
    try:
        with FolderLock(settings.home).acquire(port=settings.port):
            await _run(settings, listener)
    finally:
        listener.close()


async def _run(settings: Settings, listener: socket.socket) -> None:
    platform = await open_platform(settings)
    server = _Server(
        uvicorn.Config(
            platform.gateway,
            http=limited_protocol(settings.header_timeout_s),
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            limit_concurrency=settings.max_connections,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.handle_exit, number, None)
    try:
        await platform.start()
        gc.freeze()  # what is loaded by now stays; looking through it again would stall requests for tens of ms
        _log.info("serving on %s, data in %s", settings.url, settings.home)
        await server.serve(sockets=[listener])
    finally:
        _log.info("stopping")
        await platform.close()


class _Server(uvicorn.Server):
    """uvicorn, but the signals are handled by our loop: uvicorn would raise them again before our own clean-up."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield
