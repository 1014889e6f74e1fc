"""The open sessions, and by when each has to show that it is there."""

from __future__ import annotations

from typing import Final

from pychat.server.engine.admission import Visitors
from pychat.server.engine.heartbeat import Wheel
from pychat.server.engine.session import PING_TIMEOUT, Session
from pychat.server.engine.sockets import Sockets

_LATE: Final = 5.0
"""Seconds after the ping interval from which on a client's ping is overdue."""


class Registry:
    """Sessions by their sid. Times in seconds."""

    def __init__(
        self,
        wheel: Wheel,
        sockets: Sockets,
        visitors: Visitors | None,
        *,
        ping_interval: float,
        ping_timeout: float,
    ) -> None:
        self.sessions: dict[str, Session] = {}
        self._wheel = wheel
        self._sockets = sockets
        self._visitors = visitors
        self._ping_timeout = ping_timeout
        self._pings = wheel.add(ping_interval, self._ping)
        self._pongs = wheel.add(ping_timeout, self._timed_out)
        self._client_pings = wheel.add(ping_interval + ping_timeout, self._timed_out)
        self._lingering = wheel.add(ping_interval + ping_timeout, self.forget)

    def start(self, session: Session) -> None:
        """It is there from now on."""
        self.sessions[session.sid] = session
        if self._visitors is not None:
            self._visitors.came(session.handshake.remote_address)
        self._wheel.start(self._pings if session.protocol == 4 else self._client_pings, session)

    def forget(self, session: Session) -> None:
        """Its last packet has been fetched, or never will be."""
        self._lingering.stop(session)
        self.sessions.pop(session.sid, None)

    # --- told by the sessions

    def answered(self, session: Session) -> None:
        """The client is there."""
        if session.protocol == 4:
            self._pongs.stop(session)
            self._wheel.start(self._pings, session)
        else:
            self._wheel.start(self._client_pings, session)

    def overdue(self, session: Session) -> bool:
        """Engine.IO 3: whether its ping is late."""
        left = self._wheel.left(self._client_pings, session)
        return left < self._ping_timeout - _LATE

    def ended(self, session: Session, *, lingers: bool) -> None:
        """Nothing is expected of it any more, but the poll that fetches its last packet."""
        for queue in (self._pings, self._pongs, self._client_pings):
            queue.stop(session)
        if self._visitors is not None:
            self._visitors.went(session.handshake.remote_address)
        self._sockets.end_probe(session)
        if lingers:
            self._wheel.start(self._lingering, session)
        else:
            self.sessions.pop(session.sid, None)

    # --- what is due

    def _ping(self, session: Session) -> None:
        session.ping()
        if session.open:
            self._wheel.start(self._pongs, session)

    def _timed_out(self, session: Session) -> None:
        session.end(PING_TIMEOUT)
