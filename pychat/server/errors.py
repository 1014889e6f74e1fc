"""Why a server cannot start, in one line."""

from __future__ import annotations

import errno
import socket

from pychat.server.listening import address


class ServeError(Exception):
    """The server cannot start: one clear line that says why and what would help."""


def serve_error(host: str, port: int, error: OSError) -> ServeError:
    """What the system said of an address that cannot be listened on."""
    where = address(host, port)
    if error.errno == errno.EADDRINUSE:
        return ServeError(f"{where} is taken: choose another port, or stop what listens there")
    if error.errno == errno.EACCES:
        return ServeError(f"{where} may not be used by you: choose a port from 1024 on")
    if error.errno == errno.EADDRNOTAVAIL:
        return ServeError(f"{host} is not an address of this machine")
    if isinstance(error, socket.gaierror):
        return ServeError(f"{host} is not a host that can be found")
    return ServeError(f"cannot listen on {where}: {error.strerror or error}")
