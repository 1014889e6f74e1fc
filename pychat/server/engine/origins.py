"""Origins of pages and addresses of clients, from the headers of their requests."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Sequence
from typing import Final, Literal
from urllib.parse import urlsplit

from aiohttp import hdrs
from multidict import MultiMapping

from pychat.server.engine.answer import Refused

logger = logging.getLogger("pychat.engine")

_DEFAULT_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_MAX_REMEMBERED: Final = 256
_OWN_SITES: Final = frozenset({"same-origin", "none"})
"""``none``: the user typed the address. ``same-site`` would be another port or subdomain."""


def page_origin(headers: MultiMapping[str]) -> str | None:
    """Return the origin of the page that sent the request.

    None means the server's own page, or a client that is not a browser. Pages can send requests
    without ``Origin``: images, scripts, links and frames of any site. Browsers mark these with
    ``Sec-Fetch-Site`` (Fetch Metadata), and most send the page's address in ``Referer``, which a
    page can hide but not forge. ``"null"`` means that the page hides its origin.

    Raises Refused for more than one ``Origin``.
    """
    origins = headers.getall(hdrs.ORIGIN, [])
    if len(origins) > 1:
        raise Refused(3, "Bad request: more than one Origin")
    if origins:
        return origins[0]
    sites = headers.getall("Sec-Fetch-Site", [])
    if all(site.strip().lower() in _OWN_SITES for site in sites):
        return None
    return _origin_of(headers.get(hdrs.REFERER, ""))


def _origin_of(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "null"
    if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc:
        return "null"
    return f"{parts.scheme}://{parts.netloc}"


class Origins:
    """The server's own origin and the other allowed ones.

    A request without an origin (see ``page_origin``) comes from a program, which could send any.
    ``option`` and ``proxy_option`` are settings that the log proposes when it reports a refused
    origin, with ``{}`` for the origin and for the proxy's address.
    """

    def __init__(
        self, allowed: Sequence[str] | Literal["*"], option: str, proxy_option: str = ""
    ) -> None:
        self._all = allowed == "*" or "*" in allowed
        self._allowed = frozenset(
            origin.lower().rstrip("/") for origin in ([] if self._all else allowed)
        )
        self._option = option
        self._proxy_option = proxy_option
        self._refused: set[str] = set()

    def allows(self, origin: str | None, scheme: str, host: str, reached_at: str = "") -> bool:
        """Whether a page of that origin may use the server at ``scheme://host``.

        ``reached_at``: the server address that the client connected to, empty behind a trusted
        proxy. On a loopback address, a host name that is not this machine's may be a stranger's
        domain that resolves to this machine: DNS rebinding.
        """
        if origin is None or self._all or origin.lower().rstrip("/") in self._allowed:
            return True
        hint = ""
        if _same(origin, scheme, host):
            if not is_rebinding(host, reached_at):
                return True
            proxy = self._proxy_option.format(reached_at)
            hint = f"; if a proxy on this machine serves the page, set {proxy}"
        if origin not in self._refused and len(self._refused) < _MAX_REMEMBERED:
            self._refused.add(origin)
            option = self._option.format(origin)
            logger.warning("origin refused: %.200r; to allow it, set %s%s", origin, option, hint)
        return False


def _same(origin: str, scheme: str, host: str) -> bool:
    try:
        theirs, ours = urlsplit(origin), urlsplit(f"{scheme}://{host}")
        their_port = theirs.port or _DEFAULT_PORTS.get(theirs.scheme)
        our_port = ours.port or _DEFAULT_PORTS.get(ours.scheme)
    except ValueError:
        return False
    # The scheme is not compared because a proxy may terminate TLS. Explicit ports are compared.
    if their_port != our_port and not (theirs.port is None and ours.port is None):
        return False
    names = {theirs.hostname, ours.hostname}
    return None not in names and (len(names) == 1 or names <= _LOOPBACK)


def is_rebinding(host: str, reached_at: str) -> bool:
    """Whether a request may be an attack by DNS rebinding.

    It is if it reached a loopback address, but names a host that a stranger's name server may have
    resolved to that address.
    """
    return _is_loopback(reached_at) and _is_name(host)


def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def _is_name(host: str) -> bool:
    """Whether the host is resolved by name servers: not an address and not ``localhost``."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return True
    return not (_is_address(name) or name == "localhost" or name.endswith(".localhost"))


class Proxies:
    """The proxies whose ``X-Forwarded-For`` is believed: addresses or networks."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(network, strict=False) for network in trusted]

    def client(self, peer: str, headers: MultiMapping[str]) -> str:
        """Return the client's address: the last one that was not added by a trusted proxy.

        A proxy may add its own header line below the client's. All lines are one list (RFC 9110,
        section 5.3).
        """
        if not self._networks or not self.trusts(peer):
            return peer
        client = peer
        hops = ",".join(headers.getall("X-Forwarded-For", [])).split(",")
        for hop in reversed(hops):
            address = hop.strip()
            if not _is_address(address):
                break
            client = address
            if not self.trusts(address):
                break
        return client

    def trusts(self, address: str) -> bool:
        """Whether the address belongs to a trusted proxy."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
