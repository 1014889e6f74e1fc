"""Server addresses: normalise what a user typed, and test whether a server answers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from importlib import import_module
from typing import Final
from urllib.parse import urlsplit

from pychat.client.errors import InvalidAddress, ServerUnreachable
from pychat.protocol import DEFAULT_PORT

_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_EXAMPLE: Final = "write it as 127.0.0.1:3000 or https://chat.example.org"


def normalized_address(address: str) -> str:
    """``scheme://host[:port]`` without a slash at the end.

    Without a scheme it is http, on port 3000 unless another is given, which is how ``pychat serve``
    listens; with one, a missing port is the scheme's own. ws and wss are http and https. Raises
    InvalidAddress.
    """
    text = address.strip()
    bare = "://" not in text
    try:
        parts = urlsplit(f"http://{text}" if bare else text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _invalid(address, str(error)) from None
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None:
        raise _invalid(address, f"the scheme {parts.scheme} is not http, https, ws or wss")
    if not host or any(c.isspace() or not c.isprintable() for c in host):
        raise _invalid(address, "there is no host in it")
    if parts.username is not None or parts.password is not None:
        raise _invalid(address, "a user or password does not belong in it")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _invalid(address, "only a host and a port may be in it")
    if ":" in host:
        host = f"[{host}]"
    if port is None and bare:
        port = DEFAULT_PORT
    return f"{scheme}://{host}" if port is None else f"{scheme}://{host}:{port}"


def _invalid(address: str, why: str) -> InvalidAddress:
    return InvalidAddress(f"{address!r} is not a server's address: {why}; {_EXAMPLE}")


RETRY_WITHIN: Final = 2.0
"""Seconds; somebody sits before the form and waits."""


async def watch_server(address: str, tell: Callable[[str], None]) -> None:
    """Until it is cancelled. ``tell`` gets why the server cannot be reached, in one line, after
    each attempt that has failed, and an empty one once it can be."""
    # As for a login: it takes long, and not on the loop.
    await asyncio.to_thread(import_module, "pychat.client.connection.socket")
    from pychat.client.connection.socket import ServerConnection

    while True:
        connection = ServerConnection(address, lambda _name, _data: None)
        try:
            await connection.open()
            tell("")
            await connection.closed
        except ServerUnreachable as error:
            tell(str(error))
        finally:
            await connection.close()
        await asyncio.sleep(random.uniform(0, RETRY_WITHIN))
