"""Normalize the server address that a user typed."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from pychat.client.errors import InvalidAddress
from pychat.protocol import DEFAULT_PORT

_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_EXAMPLE: Final = "write it as 127.0.0.1:3000 or https://chat.example.org"


def normalized_address(address: str) -> str:
    """Return ``scheme://host[:port]`` without a trailing slash.

    Without a scheme, the scheme is http and the default port is 3000, as ``pychat serve`` listens.
    With a scheme, the default port is that of the scheme. ws and wss become http and https. Raises
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
        raise _invalid(address, "the host is missing or invalid")
    if parts.username is not None or parts.password is not None:
        raise _invalid(address, "it must not contain a user or password")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _invalid(address, "it must contain only a host and a port")
    if ":" in host:
        host = f"[{host}]"
    if port is None and bare:
        port = DEFAULT_PORT
    return f"{scheme}://{host}" if port is None else f"{scheme}://{host}:{port}"


def _invalid(address: str, reason: str) -> InvalidAddress:
    return InvalidAddress(f"{address!r} is not a server's address: {reason}; {_EXAMPLE}")
