"""Limits on the sessions and handshakes of each address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from pychat.server.guard.addresses import LimitLog, Recent, household
from pychat.server.guard.bucket import Rate, TokenBucket

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
        self._rate = Rate(admission.handshakes_per_second, admission.handshakes_burst)
        self._handshakes: Recent[str, TokenBucket] = Recent(_MAX_REMEMBERED)

    def refusal(self, address: str) -> str:
        """Return why the address may not have another session, or an empty string."""
        address = household(address)
        sessions = self._sessions.get(address, 0)
        if sessions >= self._admission.sessions:
            self._limit_log.refused(address, sessions)
            return "Too many connections from your address"
        if self._handshakes_of(address).left() < 1:
            return "Too many connections from your address at once"
        return ""

    def add(self, address: str) -> None:
        """Count a session that is in use."""
        address = household(address)
        self._sessions[address] = self._sessions.get(address, 0) + 1
        self._handshakes_of(address).borrow()

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

    def _handshakes_of(self, address: str) -> TokenBucket:
        bucket = self._handshakes.get(address)
        if bucket is None:
            bucket = self._handshakes[address] = TokenBucket(self._rate)
        return bucket
