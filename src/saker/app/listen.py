"""Binds the address that the platform listens on."""

from __future__ import annotations

import errno
import socket

from saker.core.errors import Conflict, Unavailable

BACKLOG = 2048
"""Connections that wait to be accepted."""


def bind(host: str, port: int) -> socket.socket:
    """A listening address.

    Raises:
        Conflict: Something listens there already.
        Unavailable: The address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets NODELAY on TCP only
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)  # from here on clients wait instead of being refused
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise Conflict(
                f"Port {port} of {host} is in use.",
                fix="Stop what listens there, or name another port with --port or SAKER_PORT.",
            ) from error
        raise Unavailable(f"Cannot listen on {host}:{port}.", why=f"{error.strerror}.") from error
    listener.set_inheritable(False)
    return listener
