"""A server's address as people type it, made into the one form that the client uses."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from pychat.client.errors import InvalidAddress
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
