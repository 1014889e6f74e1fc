"""Limits for each address: its sessions, handshakes and HTTP requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from pychat.server.guard.addresses import LimitLog, household
from pychat.server.guard.bucket import AddressBuckets, Rate
from pychat.server.guard.gate import HEADERS

_MAX_REMEMBERED: Final = 20_000

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Admission:
    """Limits for each address (each /64 of IPv6): open sessions, and handshakes per second."""

    sessions: int = 256
    handshakes_per_second: float = 20.0
    handshakes_burst: float = 512.0


class Visitors(Generic[S]):
    """Counts the sessions of each address.

    A session is silent until its client has shown that it read the answer to the handshake: an
    image on a page of another site can open one. Silent sessions have a limit of their own, as
    high as that of other sessions. One more ends the oldest.
    """

    def __init__(self, admission: Admission, hint: str = "") -> None:
        self._admission = admission
        self._sessions: dict[str, int] = {}
        self._silent: dict[str, dict[S, None]] = {}
        self._limit_log = LimitLog("sessions", hint)
        rate = Rate(admission.handshakes_per_second, admission.handshakes_burst)
        self._handshakes = AddressBuckets(rate, _MAX_REMEMBERED)

    def refusal(self, address: str) -> str:
        """Return why the address may not have another session, or an empty string."""
        network = household(address)
        sessions = self._sessions.get(network, 0)
        if sessions >= self._admission.sessions:
            self._limit_log.refused(network, sessions)
            return "Too many connections from your address"
        if self._handshakes.left(address) < 1:
            return "Too many connections from your address at once"
        return ""

    def add(self, address: str) -> None:
        """Count a session that is in use."""
        network = household(address)
        self._sessions[network] = self._sessions.get(network, 0) + 1
        self._handshakes.borrow(address)

    def remove(self, address: str) -> None:
        """Stop counting a session that was in use."""
        address = household(address)
        left = self._sessions.get(address, 0) - 1
        if left > 0:
            self._sessions[address] = left
        else:
            self._sessions.pop(address, None)

    def add_silent(self, address: str, session: S) -> S | None:
        """Count a silent session. Return the one to end in its place, if there are too many."""
        silent = self._silent.setdefault(household(address), {})
        silent[session] = None
        return next(iter(silent)) if len(silent) > self._admission.sessions else None

    def remove_silent(self, address: str, session: S) -> None:
        """Stop counting a silent session: it is in use, or it has ended."""
        address = household(address)
        silent = self._silent.get(address)
        if silent is not None:
            silent.pop(session, None)
            if not silent:
                del self._silent[address]


LONGEST_WAIT: Final = 10.0
"""Seconds. A request that would have to wait longer is refused."""
MAX_ADDRESSES: Final = 20_000


def throttle(rate: Rate, client_address: Callable[[web.Request], str]) -> Middleware:
    """Return a middleware that delays requests to ``rate`` for each client address.

    A request that would wait longer than LONGEST_WAIT is answered with 429. ``client_address``
    returns the address of a request's client, also behind a trusted proxy.
    """
    turns = RequestTurns(rate)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        wait = turns.take(client_address(request))
        if wait > LONGEST_WAIT:
            # Delayed, so that a client that asks again and again is slowed down.
            await asyncio.sleep(1.0)
            headers = {**HEADERS, "Retry-After": str(round(wait))}
            refusal = web.Response(status=429, text="429: too many requests\n", headers=headers)
            refusal.force_close()
            return refusal
        if wait > 0:
            await asyncio.sleep(wait)
        return await handler(request)

    return middleware


class RequestTurns:
    """The rate of each address, as the time at which its next request is answered."""

    def __init__(self, rate: Rate) -> None:
        self._buckets = AddressBuckets(rate, MAX_ADDRESSES)

    def take(self, address: str) -> float:
        """Return the seconds until the address's next request may be answered, 0 for at once.

        More than LONGEST_WAIT: the request is to be refused, and was not counted.
        """
        return self._buckets.borrow(address, longest=LONGEST_WAIT)
