"""Client addresses: which of them count as one client, and which exceed a limit."""

from __future__ import annotations

import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Hashable
from functools import lru_cache
from typing import Final, Generic, TypeVar


@lru_cache(maxsize=4096)
def household(address: str) -> str:
    """Return the address that limits count by: an IPv4 address itself, the /64 of an IPv6 address.

    Providers give one customer a whole /64.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed.packed, 64), strict=False))


SITE_SHARE: Final = 16
"""A /48 may do this many times what one of its /64 may."""


@lru_cache(maxsize=4096)
def site(address: str) -> str:
    """Return the /48 of an IPv6 address; empty for IPv4.

    Providers and hosters give away a whole /48, which is 65,536 times a /64.
    """
    network = household(address)
    if "/" not in network:
        return ""
    return str(ipaddress.ip_network(network).supernet(new_prefix=48))


def counted_by(address: str) -> tuple[tuple[str, int], ...]:
    """Return the networks by which limits count an address, each with its share of the limit."""
    own, wider = (household(address), 1), site(address)
    return (own, (wider, SITE_SHARE)) if wider else (own,)


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A mapping of at most ``most`` entries that evicts the least recently used one.

    Each operation takes constant time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """Return the value and mark it as used now."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def __setitem__(self, key: K, value: V) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def forget(self, key: K) -> None:
        """Remove the key, if it is there."""
        self._entries.pop(key, None)


log = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 600.0
_MAX_ADDRESSES: Final = 20_000


class LimitLog:
    """Log addresses that exceed a limit: each address at most once in AGAIN_SECONDS."""

    def __init__(self, what: str, hint: str = "") -> None:
        """``what``: the things that are limited, in the plural.

        ``hint``: how an operator raises the limit, with ``{}`` for a higher value.
        """
        self._what = what
        self._hint = hint
        self._logged: Recent[str, float] = Recent(_MAX_ADDRESSES)

    def refused(self, address: str, most: int) -> None:
        """Log that the address, or network, already has ``most`` and was refused one more."""
        now = time.monotonic()
        logged = self._logged.get(address)
        if logged is None or now - logged > AGAIN_SECONDS:
            self._logged[address] = now
            hint = self._hint.format(4 * most)
            log.warning(
                "too many %s from %s: %d in use, more are refused%s",
                self._what,
                address,
                most,
                f"; if many people share the address, allow more with {hint}" if hint else "",
            )
