"""One connection of the chat: who is logged in on it, and which of its events wait."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from pychat.protocol import (
    MAX_BYTES_BEFORE_LOGIN,
    MAX_EVENTS_PENDING_LOGIN,
    Code,
    ProtocolError,
)

if TYPE_CHECKING:
    from pychat.server.chat.connection import ChatConnection
    from pychat.server.chat.notices.original import CatchUp
    from pychat.server.chat.state.entities import OnlineUser

MAX_EVENTS_WAITING = 1024
MAX_BYTES_WAITING = 4 * 1024 * 1024

WaitingEvent = tuple[str, bytes, int | None]


class ChatSession:
    """``waiting`` is None while the connection's events are handled as they come in; while one
    of them has to wait for something, the ones after it wait there, so that they keep their order.
    """

    __slots__ = (
        "catch_up",
        "closed",
        "connection",
        "logged_in_by_message",
        "login_id",
        "login_pending",
        "login_session",
        "modern",
        "password_hash",
        "token_hash",
        "unanswered",
        "user",
        "waiting",
        "waiting_bytes",
    )

    def __init__(self, connection: ChatConnection) -> None:
        self.connection = connection
        self.user: OnlineUser | None = None
        self.login_id = ""
        """The id as it was typed, which a client of the original protocol goes on sending."""
        self.logged_in_by_message = False
        """Nobody logged in: the user is the sender of a message."""
        self.modern = False
        """The login said ``protocol: 1`` or more."""
        self.login_session: str | None = None
        self.token_hash: bytes | None = None
        self.password_hash: str | None = None
        self.closed = False
        self.unanswered = 0
        """Its messages that are not kept yet."""
        self.login_pending = False
        self.waiting: deque[WaitingEvent] | None = None
        self.waiting_bytes = 0
        self.catch_up: CatchUp | None = None

    def require_user(self) -> OnlineUser:
        """Who is logged in. Raises ProtocolError 401 if nobody is."""
        if self.user is None:
            raise ProtocolError(Code.UNAUTHORIZED, "log in first")
        return self.user

    def enqueue(self, event: str, payload: bytes, ack_id: int | None) -> None:
        """Raises ProtocolError 429 when too much waits already."""
        assert self.waiting is not None
        if self.login_pending and len(self.waiting) >= MAX_EVENTS_PENDING_LOGIN:
            raise ProtocolError(
                Code.TOO_FAST,
                f"at most {MAX_EVENTS_PENDING_LOGIN} events may wait for a login",
                retry_after=1.0,
            )
        most = MAX_BYTES_BEFORE_LOGIN if self.user is None else MAX_BYTES_WAITING
        if len(self.waiting) >= MAX_EVENTS_WAITING or self.waiting_bytes + len(payload) > most:
            raise ProtocolError(
                Code.TOO_FAST, "too many events wait for an answer", retry_after=1.0
            )
        self.waiting.append((event, payload, ack_id))
        self.waiting_bytes += len(payload)

    def log_out(self) -> None:
        """Nobody is logged in any more; the connection stays."""
        self.user = None
        self.logged_in_by_message = False
        self.login_id = ""
        self.modern = False
        self.login_session = None
        self.token_hash = None
        self.password_hash = None
