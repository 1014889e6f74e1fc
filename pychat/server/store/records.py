"""The records of the stores. Times are milliseconds since the epoch, UTC."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import NamedTuple

from msgspec import UNSET, Struct, UnsetType

from pychat.protocol import Availability, NotifyLevel


class ConversationKind(IntEnum):
    """The databases contain these numbers: do not change them."""

    PAIR = 0
    ROOM = 1
    EVERYONE = 2


class Account(Struct, frozen=True):
    """``password_hash`` is None if the id has only been used under open accounts."""

    key: int
    id: str
    alias: str
    password_hash: str | None
    disabled: bool
    created_at: int
    last_seen_at: int | None
    status: Availability = Availability.ONLINE
    status_text: str = ""


class LoginToken(Struct, frozen=True):
    """A login that a token can resume. Only the hash of the token is stored. The account's owner
    revokes it by ``id``."""

    id: str
    account: int
    token_hash: bytes
    device: str
    since: int
    last_seen_at: int
    expires_at: int


class HookRecord(Struct, frozen=True):
    """An incoming webhook: whoever has its token can post to ``conversation`` as ``account``. Only
    the hash of the token is stored. The operator removes it by ``id``."""

    id: str
    token_hash: bytes
    conversation: int
    account: int
    created_at: int


class Block(Struct, frozen=True):
    """What a blocked user sees of the blocking ``account``: the ``alias`` it had at that time, and
    when it was last seen before the block (``since``, None if unknown)."""

    account: Account
    alias: str
    since: int | None


class ConversationRecord(Struct, frozen=True):
    """``accounts``: the two keys of a pair (equal for messages to oneself), else empty.
    ``room_id`` is empty except for rooms."""

    key: int
    kind: ConversationKind
    accounts: tuple[int, int] | tuple[()]
    room_id: str = ""


EVERYONE = ConversationRecord(1, ConversationKind.EVERYONE, ())
"""The conversation ALL. Every store creates it first."""


ALL_MEMBERS = 0
"""The key that stands for all members of a room among the accounts that a message mentions."""


class RoomRecord(Struct, frozen=True):
    """A room. If its id is reused after its deletion, the new room has another conversation.
    ``private``: only its members and whom they invite know of it."""

    id: str
    name: str
    owner: int
    conversation: int
    topic: str = ""
    private: bool = False


class Standing(IntEnum):
    """What an account is in a room beside a member or its owner. The databases contain these
    numbers: do not change them."""

    MODERATOR = 1
    BARRED = 2
    """It was removed, and cannot join until it is invited."""
    INVITED = 3
    """It has not joined yet."""


class RoomStanding(Struct, frozen=True):
    """The standing of an account in a room. Most accounts have none."""

    conversation: int
    account: int
    standing: Standing


class FileRecord(Struct, frozen=True):
    """A file that ``account`` has uploaded. ``name`` is safe to show. ``width``, ``height`` and
    ``blurhash`` are what the sender gave, None or empty if nothing. ``message``: conversation and
    seq of the message that it is attached to, None before."""

    id: str
    account: int
    name: str
    size: int
    mime: str
    created_at: int
    width: int | None = None
    height: int | None = None
    blurhash: str = ""
    message: tuple[int, int] | None = None


class NewMessage(Struct):
    """A message to store. ``client_id``: the 16 bytes of the UUID, if the client gave one.
    ``reply_to``: the seq of the message that it answers. ``mentions``: as in MessageRecord.
    ``file``: the id of a file of the sender, which is then attached to the message."""

    conversation: int
    sender: int
    client_id: bytes | None
    sent_at: int
    data: str
    reply_to: int | None = None
    mentions: tuple[int, ...] = ()
    file: str | None = None


class Appended(Struct, frozen=True):
    """The place of a stored message. ``duplicate``: it had been stored there before."""

    conversation: int
    seq: int
    sent_at: int
    duplicate: bool = False


class ReactionRecord(Struct, frozen=True):
    """A reaction to a message, and the rev with which it was added."""

    rev: int
    emoji: str
    account: int


class MessageRecord(Struct, frozen=True):
    """A stored message. ``data`` is empty once it is removed.

    ``rev``: the number of its newest change, 0 if it was never changed, or removed by a version
    that did not count. ``reactions``: the oldest first. ``mentions``: the accounts that its text
    mentions, in ascending order; ``ALL_MEMBERS`` for all members of the room.
    """

    conversation: int
    seq: int
    sender: int
    client_id: bytes | None
    sent_at: int
    data: str
    removed: bool = False
    reply_to: int | None = None
    rev: int = 0
    edited_at: int | None = None
    reactions: tuple[ReactionRecord, ...] = ()
    mentions: tuple[int, ...] = ()
    file: FileRecord | None = None


class NewEdit(Struct):
    """A new text for a message of ``account``, and the accounts that it mentions. ``base``: the
    ``edited_at`` that the author saw, if it matters."""

    conversation: int
    seq: int
    account: int
    data: str
    edited_at: int
    base: int | UnsetType | None = UNSET
    mentions: tuple[int, ...] = ()


class NewRemoval(Struct):
    """The removal of a message by its sender, or (``of_others``) by somebody who may remove any."""

    conversation: int
    seq: int
    account: int
    of_others: bool = False


class NewReaction(Struct):
    """A reaction to add, or (not ``on``) to take back. ``blocked``: the account cannot see messages
    of these."""

    conversation: int
    seq: int
    account: int
    emoji: str
    on: bool
    blocked: frozenset[int] = frozenset()


NewChange = NewEdit | NewRemoval | NewReaction


def write_kind(new: NewMessage | NewChange) -> str:
    """Name the way to write it: "message", "file" (a message with one) or "change"."""
    if isinstance(new, NewMessage):
        return "message" if new.file is None else "file"
    return "change"


class Outcome(Enum):
    """What became of a change."""

    DONE = "done"
    UNCHANGED = "unchanged"
    """The message was already so."""
    MISSING = "missing"
    """There is no such message, or (for a new message) no such file of its sender that is not
    attached yet."""
    FORBIDDEN = "forbidden"
    """The message is somebody else's."""
    REMOVED = "removed"
    CONFLICT = "conflict"
    """The message was edited after ``base``."""
    FULL = "full"
    """It has the maximum of reactions."""


class ChangeResult(Struct, frozen=True):
    """The outcome of a change, and the message after it (None if it is missing)."""

    outcome: Outcome
    message: MessageRecord | None


class RecordPage(NamedTuple):
    """A page of messages, and whether there are more. The messages show all changes of the
    conversation up to ``rev``."""

    messages: list[MessageRecord]
    more: bool
    rev: int


class Membership(Struct, frozen=True):
    """An account in a conversation: the first message it can read, its cursors, and which messages
    its clients announce."""

    conversation: int
    account: int
    first_seq: int
    delivered_seq: int
    read_seq: int
    notify: NotifyLevel = NotifyLevel.ALL


class ConversationSummary(Struct, frozen=True):
    """An entry of an account's conversation list. ``peer``: the other membership of a pair, None
    in rooms and ALL. ``unread`` leaves out removed messages, the account's own messages, and those
    of accounts it has blocked; its maximum is ``protocol.MAX_UNREAD``. ``rev``: the number of the
    conversation's last change, 0 if there is none. ``unread_mentions``: how many of the unread
    messages mention the account, or all members."""

    conversation: ConversationRecord
    membership: Membership
    peer: Membership | None
    last_seq: int
    last: MessageRecord | None
    unread: int
    rev: int = 0
    unread_mentions: int = 0


class CursorMove(Struct, frozen=True):
    """A move of an account's cursors. Cursors only move forward; ``read_seq`` also moves the
    delivered cursor."""

    conversation: int
    account: int
    delivered_seq: int = 0
    read_seq: int = 0
