"""A client's connection, and its state in the chat."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, NewType, Protocol, TypeAlias

from pychat.protocol import (
    MAX_BYTES_BEFORE_LOGIN,
    MAX_EVENTS_PENDING_LOGIN,
    Code,
    ProtocolError,
)
from pychat.server.chat.state.entities import OnlineUser, Pair

MAX_EVENTS_WAITING = 1024
MAX_BYTES_WAITING = 4 * 1024 * 1024

Packet = NewType("Packet", object)
"""An event that the engine has encoded for sending. The chat does not look inside."""

EncodeEvent: TypeAlias = Callable[[str, bytes], Packet]
"""Encode an event's name and its JSON argument for ``ChatConnection.send``. One packet may be sent
to any number of connections."""

Work: TypeAlias = Coroutine[Any, Any, None]
"""The part of handling an event that has to wait. The connection's later events wait for it."""

WaitingEvent: TypeAlias = tuple[str, bytes, int | None]
"""An event's name, its JSON argument and the id of its acknowledgement."""


class ChatConnection(Protocol):
    """One Socket.IO client on the namespace ``/``, as the chat needs it.

    The engine's connections have these methods. After ``close`` or a disconnect, sending does
    nothing.
    """

    sid: str
    context: ChatSession
    """Set by ``Chat.connected``."""

    @property
    def remote_address(self) -> str: ...

    @property
    def user_agent(self) -> str: ...

    def send(self, packet: Packet) -> None: ...

    def when_received(self, callback: Callable[[], None]) -> None:
        """Call back when the client has proven that it processed everything sent so far.

        The callback may be called at once. It is not called if the connection ends first, or if
        this method is called again before.
        """

    def acknowledge(self, ack_id: int, payload: bytes) -> None:
        """Answer the event that came with ``ack_id``. ``payload`` is one JSON value."""

    def admit(self) -> None:
        """Lift the size limit for clients that are not logged in."""

    def close(self) -> None:
        """Write what is queued, then disconnect the client."""


class OriginalReceiver(Protocol):
    """Delivery to a client of the original protocol, which cannot acknowledge messages."""

    def receive(self, pair: Pair, seq: int, packet: Packet) -> None:
        """Send a message to the user. It counts as delivered once its receipt is proven."""

    def echo(self, pair: Pair, seq: int, packet: Packet) -> None:
        """Send a message that the user wrote on another device."""

    def catch_up(self) -> None:
        """Send messages to the user that are in the store and were not delivered."""


class ChatSession:
    """The state of one connection: who is logged in, and which events wait.

    ``waiting`` is None while events are handled as they come in. While one of them waits for
    something, later events are queued there, which keeps their order.
    """

    __slots__ = (
        "closed",
        "connection",
        "logged_in_by_message",
        "login_id",
        "login_pending",
        "modern",
        "original",
        "password_hash",
        "token_hash",
        "token_id",
        "unanswered",
        "user",
        "waiting",
        "waiting_bytes",
    )

    def __init__(self, connection: ChatConnection) -> None:
        self.connection = connection
        self.user: OnlineUser | None = None
        self.login_id = ""
        """The id as the client spelled it. Original clients go on sending this spelling."""
        self.logged_in_by_message = False
        """No login took place: the user is the sender of a message."""
        self.modern = False
        """The login named ``protocol: 1`` or more."""
        self.original: OriginalReceiver | None = None
        """Set while a client of the original protocol is logged in."""
        self.token_id: str | None = None
        """The id of the login token in use."""
        self.token_hash: bytes | None = None
        self.password_hash: str | None = None
        self.closed = False
        self.unanswered = 0
        """Number of messages and changes of this connection that are not stored yet."""
        self.login_pending = False
        self.waiting: deque[WaitingEvent] | None = None
        self.waiting_bytes = 0

    def require_user(self) -> OnlineUser:
        """Return the user who is logged in. Raises ProtocolError 401 if there is none."""
        if self.user is None:
            raise ProtocolError(Code.UNAUTHORIZED, "log in first")
        return self.user

    def enqueue(self, event: str, payload: bytes, ack_id: int | None) -> None:
        """Queue an event. Raises ProtocolError 429 if the queue is full."""
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
                Code.TOO_FAST, "too many events are waiting for an answer", retry_after=1.0
            )
        self.waiting.append((event, payload, ack_id))
        self.waiting_bytes += len(payload)

    def log_out(self) -> None:
        """Forget the user. The connection stays open."""
        self.user = None
        self.logged_in_by_message = False
        self.login_id = ""
        self.modern = False
        self.token_id = None
        self.token_hash = None
        self.password_hash = None
