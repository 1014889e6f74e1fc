"""What the client shows its users: conversations, messages and states, as plain records."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct


class ConnectionState(StrEnum):
    """Where the client stands with its server."""

    CONNECTING = "connecting"
    ONLINE = "online"
    OFFLINE = "offline"
    """Tries again by itself."""
    REFUSED = "refused"
    """The server said no (wrong password, revoked token): waits for ``login``."""
    CLOSED = "closed"


class DeliveryStatus(StrEnum):
    """How far one's own message has come."""

    SENDING = "sending"
    SENT = "sent"
    """Stored by the server."""
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    """Refused: ``Message.error`` says why. ``retry`` or ``discard`` it."""


class MessageInfo(Struct):
    """``conversation`` is its name as in ``with``. ``seq`` is 0 and ``id`` empty until stored."""

    conversation: str
    sender: str
    text: str
    client_id: str
    id: str = ""
    seq: int = 0
    sent_at: float = 0.0
    """Seconds since the epoch: the server's stamp once stored, the client's clock before."""
    removed: bool = False
    own: bool = False
    delivery: DeliveryStatus | None = None
    """Of one's own messages; None for everybody else's."""
    error: str = ""


class ConversationInfo(Struct):
    """``name`` is a login id, ``#roomId`` or ``ALL``."""

    name: str
    alias: str
    online: bool = False
    last_seen: float | None = None
    first_seq: int = 1
    last_seq: int = 0
    delivered_seq: int = 0
    read_seq: int = 0
    peer_delivered_seq: int = 0
    peer_read_seq: int = 0
    unread: int = 0
    """Messages of others after ``read_seq``; 1,000 stands for that many or more."""
    last: MessageInfo | None = None
    typing: tuple[str, ...] = ()
    """Who is typing in it now."""
    blocked: bool = False
    """Whether oneself has blocked the other one."""


class UserInfo(Struct):
    """Somebody one could write to."""

    id: str
    alias: str
    online: bool


class RoomInfo(Struct):
    """A room on the server."""

    id: str
    name: str
    owner: str
    member: bool = False


class HistoryPage(Struct):
    """Oldest first."""

    messages: list[MessageInfo]
    has_more: bool


class SearchPage(Struct):
    """Newest first; ``next`` is the cursor of the next page, empty at the end."""

    messages: list[MessageInfo]
    next: str = ""


class DeviceInfo(Struct):
    """One login of one's own; times are seconds since the epoch."""

    id: str
    device: str
    since: float
    last_seen: float
    current: bool


NOT_LOGGED_IN: Final = "not logged in"
"""``Status.reason`` where there is no password and no token yet: nobody did anything wrong."""
TOKEN_AWAITED: Final = "unlock the keyring, or log in with the password"
"""``Status.reason`` while the token is still looked for."""


class Status(Struct):
    """What a status line shows."""

    state: ConnectionState
    since: float
    """When this state began, seconds since the epoch."""
    retry_at: float | None = None
    """When it tries again, while offline."""
    waiting: int = 0
    """Messages in the outbox."""
    reason: str = ""
    """Why it is offline or refused, in one line."""
