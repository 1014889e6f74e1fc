"""Who may open a session: not too many from one address, and not too fast."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from pychat.server.crowd import Crowds
from pychat.server.household import household
from pychat.server.recent import Recent

_MAX_REMEMBERED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Admission:
    """By address (of IPv6, by /64): sessions at a time, and handshakes."""

    sessions: int = 256
    handshakes_per_second: float = 20.0
    handshakes_burst: float = 512.0


class Visitors:
    """The sessions of each address."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._sessions: dict[str, int] = {}
        self._crowds = Crowds("sessions")
        self._handshakes: Recent[str, tuple[float, float]] = Recent(_MAX_REMEMBERED)

    def refusal(self, address: str) -> str:
        """Why one more session from there may not be, empty if it may."""
        address = household(address)
        sessions = self._sessions.get(address, 0)
        if sessions >= self._admission.sessions:
            self._crowds.refused(address, sessions)
            return "Too many connections from your address"
        if not self._take_handshake(address):
            return "Too many connections from your address at once"
        return ""

    def came(self, address: str) -> None:
        """A session has been opened."""
        address = household(address)
        self._sessions[address] = self._sessions.get(address, 0) + 1

    def went(self, address: str) -> None:
        """It has ended."""
        address = household(address)
        left = self._sessions.get(address, 0) - 1
        if left > 0:
            self._sessions[address] = left
        else:
            self._sessions.pop(address, None)

    def _take_handshake(self, address: str) -> bool:
        now = time.monotonic()
        admission = self._admission
        left, at = self._handshakes.get(address) or (admission.handshakes_burst, now)
        left = min(admission.handshakes_burst, left + (now - at) * admission.handshakes_per_second)
        self._handshakes[address] = (left - 1 if left >= 1 else left, now)
        return left >= 1
