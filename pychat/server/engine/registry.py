"""The open sessions and their deadlines."""

from __future__ import annotations

from typing import Final, Protocol

from pychat.server.engine.answer import Refused
from pychat.server.engine.heartbeat import Wheel
from pychat.server.engine.session import PING_TIMEOUT, TRANSPORT_CLOSE, EngineSession
from pychat.server.engine.websocket.sockets import Sockets

SILENT_SECONDS: Final = 10.0
"""How long a session stays silent: its client has not shown that it read the handshake."""
TOO_MANY: Final = 429
_LATE: Final = 5.0
"""Seconds after the ping interval at which a client's ping counts as overdue."""


class SessionAdmission(Protocol):
    """Limits how many sessions each client address may have.

    A session is silent until its client has shown that it read the answer to the handshake.
    """

    def refusal(self, address: str) -> str:
        """Return why the address may not have another session, or an empty string."""

    def add(self, address: str) -> None:
        """Count a session that is in use."""

    def remove(self, address: str) -> None:
        """Stop counting a session that was in use."""

    def add_silent(self, address: str, session: EngineSession) -> EngineSession | None:
        """Count a silent session. Return the one to end in its place, if any."""

    def remove_silent(self, address: str, session: EngineSession) -> None:
        """Stop counting a silent session: it is in use, or it has ended."""


class Registry:
    """Sessions by sid. Pings them and ends those that do not answer. Times are in seconds."""

    def __init__(
        self,
        wheel: Wheel,
        sockets: Sockets,
        admission: SessionAdmission | None,
        *,
        ping_interval: float,
        ping_timeout: float,
    ) -> None:
        self.sessions: dict[str, EngineSession] = {}
        self._wheel = wheel
        self._sockets = sockets
        self._admission = admission
        self._ping_timeout = ping_timeout
        close = EngineSession.abandon
        self._pings = wheel.add(ping_interval, self._ping, close)
        self._pongs = wheel.add(ping_timeout, self._timed_out, close)
        self._client_pings = wheel.add(
            ping_interval + ping_timeout, self._timed_out, EngineSession.abandon
        )
        self._lingering = wheel.add(
            ping_interval + ping_timeout, self.forget, EngineSession.abandon
        )
        self._silent = wheel.add(SILENT_SECONDS, self._unused, close)

    def check(self, address: str) -> None:
        """Raise Refused if the address may not open another session."""
        refusal = "" if self._admission is None else self._admission.refusal(address)
        if refusal:
            raise Refused(3, refusal, TOO_MANY)

    def start(self, session: EngineSession) -> None:
        """Add the session."""
        self.sessions[session.sid] = session
        address = session.handshake.remote_address
        oldest = None
        if session.silent:
            self._wheel.start(self._silent, session)
            if self._admission is not None:
                oldest = self._admission.add_silent(address, session)
        elif self._admission is not None:
            self._admission.add(address)
        self._wheel.start(self._pings if session.protocol == 4 else self._client_pings, session)
        if oldest is not None:
            self._unused(oldest)

    def heard(self, session: EngineSession) -> None:
        """Mark a silent session as in use.

        Raises Refused, and ends the session, if its address has too many.
        """
        try:
            self.check(session.handshake.remote_address)
        except Refused:
            self._unused(session)
            raise
        self._break_silence(session)
        if self._admission is not None:
            self._admission.add(session.handshake.remote_address)

    def _break_silence(self, session: EngineSession) -> None:
        session.silent = False
        self._silent.stop(session)
        if self._admission is not None:
            self._admission.remove_silent(session.handshake.remote_address, session)

    def _unused(self, session: EngineSession) -> None:
        session.end(TRANSPORT_CLOSE)

    def forget(self, session: EngineSession) -> None:
        """Remove a session whose last packet was fetched, or will not be."""
        self._lingering.stop(session)
        self.sessions.pop(session.sid, None)

    # --- called by the sessions

    def answered(self, session: EngineSession) -> None:
        """The client has answered a ping, or in Engine.IO 3 sent one."""
        if session.protocol == 4:
            self._pongs.stop(session)
            self._wheel.start(self._pings, session)
        else:
            self._wheel.start(self._client_pings, session)

    def overdue(self, session: EngineSession) -> bool:
        """Engine.IO 3: whether the client's ping is late."""
        left = self._wheel.left(self._client_pings, session)
        return left < self._ping_timeout - _LATE

    def ended(self, session: EngineSession, *, lingers: bool) -> None:
        """Stop the session's deadlines.

        If it lingers, it stays until a poll has fetched its last packet.
        """
        for queue in (self._pings, self._pongs, self._client_pings):
            queue.stop(session)
        if session.silent:
            self._break_silence(session)
        elif self._admission is not None:
            self._admission.remove(session.handshake.remote_address)
        self._sockets.end_probe(session)
        if lingers:
            self._wheel.start(self._lingering, session)
        else:
            self.sessions.pop(session.sid, None)

    # --- deadlines

    def _ping(self, session: EngineSession) -> None:
        session.ping()
        if session.open:
            self._wheel.start(self._pongs, session)

    def _timed_out(self, session: EngineSession) -> None:
        session.end(PING_TIMEOUT)
