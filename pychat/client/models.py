"""Records of the public API: conversations, messages, rooms, users, devices and the status."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

from pychat.protocol import Availability, NotifyLevel
from pychat.visible import with_file


class ConnectionState(StrEnum):
    """State of the connection to the server."""

    CONNECTING = "connecting"
    ONLINE = "online"
    OFFLINE = "offline"
    """The client reconnects automatically."""
    REFUSED = "refused"
    """The server refused the login, or there are no credentials. The client waits for ``login``."""
    CLOSED = "closed"


class LoginResult(Struct, frozen=True):
    """The server's answer to a login. ``message``: its text, one line."""

    message: str
    created: bool
    """Whether the login created the account."""


class DeliveryStatus(StrEnum):
    """Delivery status of a message that this user sent."""

    SENDING = "sending"
    SENT = "sent"
    """The server has stored it."""
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    """The server refused it, see ``MessageInfo.error``. Call ``retry`` or ``discard``."""


class ReactionInfo(Struct, frozen=True):
    """The reactions to a message with one emoji. ``by``: the ids of up to 10 of the users."""

    emoji: str
    count: int
    by: tuple[str, ...] = ()
    mine: bool = False
    """Whether this user has reacted with it."""


class QuoteInfo(Struct, frozen=True):
    """The message that another one answers. ``text``: its first 120 characters.

    ``sender`` and ``text`` are empty if this user cannot read it.
    """

    seq: int
    sender: str = ""
    text: str = ""


class FileInfo(Struct, frozen=True):
    """A file. ``name`` is safe to show and to use for a file. ``size`` in bytes. ``width``,
    ``height`` (pixels) and ``blurhash`` are what the sender gave, None or empty if nothing."""

    id: str
    name: str
    size: int
    mime: str
    width: int | None = None
    height: int | None = None
    blurhash: str = ""

    @property
    def line(self) -> str:
        """Name and size: ``cat.png (48 kB)``."""
        return with_file("", self.name, self.size)


class MessageInfo(Struct):
    """A message. ``conversation`` is the name of its conversation."""

    conversation: str
    sender: str
    text: str
    client_id: str
    id: str = ""
    """Empty until the server has stored the message."""
    seq: int = 0
    """0 until the server has stored the message."""
    sent_at: float = 0.0
    """Seconds since the epoch. The client's clock until the message is stored, then the server's.
    """
    removed: bool = False
    own: bool = False
    """Whether this user sent the message, on any device."""
    delivery: DeliveryStatus | None = None
    """None for messages of other users."""
    error: str = ""
    rev: int = 0
    """The number of the newest change of the message, 0 if there is none."""
    edited: float | None = None
    """When the text was last edited, in seconds since the epoch."""
    reactions: tuple[ReactionInfo, ...] = ()
    reply_to: QuoteInfo | None = None
    mentions: tuple[str, ...] = ()
    """Login ids of the members of a room that the message mentions; ``ALL`` for all of them."""
    mentioned: bool = False
    """Whether somebody else mentions this user, or all members, in the message."""
    file: FileInfo | None = None
    pending: bool = False
    """Whether it is shown with a change by this user that the server has not answered yet."""

    @property
    def shown_text(self) -> str:
        """The text, and a line with the name and size of the file if there is one."""
        if self.file is None:
            return self.text
        return with_file(self.text, self.file.name, self.file.size)


class ChangeKind(StrEnum):
    """What a change does to a message."""

    EDIT = "edit"
    REACTION = "reaction"
    REMOVAL = "removal"


class PendingChange(Struct, frozen=True):
    """A change of a message by this user that the server has not answered yet.

    ``message``: as the user saw it. ``text``: of an edit. ``emoji``, ``on``: of a reaction.
    """

    key: str
    kind: ChangeKind
    message: MessageInfo
    text: str = ""
    emoji: str = ""
    on: bool = True
    base: float | None = None
    """``edited`` of the message that the user saw."""
    based: bool = False
    """Whether an edit is refused if ``edited`` of the message is not ``base``."""
    made_at: float = 0.0
    """Seconds since the epoch."""


class ConversationInfo(Struct):
    """A conversation. ``name`` is the other user's login id, ``#roomId`` or ``ALL``."""

    name: str
    alias: str
    online: bool = False
    last_seen: float | None = None
    """Seconds since the epoch. None while the other user is online, and if unknown."""
    first_seq: int = 1
    last_seq: int = 0
    delivered_seq: int = 0
    read_seq: int = 0
    peer_delivered_seq: int = 0
    peer_read_seq: int = 0
    unread: int = 0
    """Messages of others after ``read_seq``. 1,000 means 1,000 or more."""
    unread_mentions: int = 0
    """How many of them mention this user, or all members."""
    last: MessageInfo | None = None
    """The last message, which may be one that this user has not sent yet."""
    last_stored: MessageInfo | None = None
    """The last message that the server has stored, as far as is known."""
    typing: tuple[str, ...] = ()
    """Login ids of the users who are typing now."""
    blocked: bool = False
    """Whether this user has blocked the other one."""
    topic: str = ""
    """Of a room."""
    role: str = ""
    """``owner`` or ``moderator`` if this user is one of the room, otherwise empty."""
    status: Availability = Availability.ONLINE
    """What the other user has chosen: ``away``, ``dnd`` (do not disturb), or ``online``: none."""
    status_text: str = ""
    """What the other user says about it, or about something else."""
    notify: NotifyLevel = NotifyLevel.ALL
    """Which messages the user's clients announce: ``all``, ``mentions`` or, if ``muted``, none."""


class UserInfo(Struct):
    """A user of the server."""

    id: str
    alias: str
    online: bool
    status: Availability = Availability.ONLINE
    status_text: str = ""


class ProfileInfo(Struct, frozen=True):
    """What others see of this user. ``alias`` is empty before the first login."""

    id: str
    alias: str
    status: Availability = Availability.ONLINE
    status_text: str = ""


class RoomInfo(Struct):
    """A room that this user can see. ``member``: whether this user has joined it. ``invited``:
    whether somebody has invited this user, who has not joined yet."""

    id: str
    name: str
    owner: str
    member: bool = False
    topic: str = ""
    private: bool = False
    invited: bool = False


class MemberInfo(Struct):
    """A member of a room. ``role``: ``owner``, ``moderator`` or ``member``."""

    id: str
    alias: str
    role: str
    online: bool
    status: Availability = Availability.ONLINE
    status_text: str = ""


class HistoryPage(Struct):
    """A page of a conversation. ``messages``: oldest first."""

    messages: list[MessageInfo]
    has_more: bool


class SearchPage(Struct):
    """A page of search results. ``messages``: newest first."""

    messages: list[MessageInfo]
    next: str = ""
    """Cursor of the next page. Empty on the last page."""


class DeviceInfo(Struct):
    """A login token of this user. ``since`` and ``last_seen`` are seconds since the epoch."""

    id: str
    device: str
    since: float
    last_seen: float
    current: bool


NOT_LOGGED_IN: Final = "not logged in"
"""``Status.reason`` when there is neither a password nor a token. Not an error."""
TOKEN_AWAITED: Final = "unlock the keyring, or log in with the password"
"""``Status.reason`` while the token lookup is still running."""


class Status(Struct):
    """Status of the client, as a status line shows it."""

    state: ConnectionState
    since: float
    """When this state began, in seconds since the epoch."""
    retry_at: float | None = None
    """When the next connection attempt starts, in seconds since the epoch. Only while offline."""
    waiting: int = 0
    """Number of messages and changes that wait for the server's answer."""
    reason: str = ""
    """Why the client is offline or refused, in one line."""
