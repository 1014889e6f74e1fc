"""What the store keeps, as plain records. Times are milliseconds since the epoch, UTC."""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct


class ConversationKind(IntEnum):
    """Kept in the database: never renumber."""

    PAIR = 0
    ROOM = 1
    EVERYONE = 2


class Account(Struct, frozen=True):
    """``password_hash`` is None for an id first seen under open accounts."""

    key: int
    id: str
    alias: str
    password_hash: str | None
    disabled: bool
    created_at: int
    last_seen_at: int | None


class LoginToken(Struct, frozen=True):
    """One token: only its hash is kept. ``id`` is what its owner revokes it by."""

    id: str
    account: int
    token_hash: bytes
    device: str
    since: int
    last_seen_at: int
    expires_at: int


class Block(Struct, frozen=True):
    """What somebody who is blocked is shown of the account that blocks them: its ``alias`` at that
    time, and when it was seen until then. None: not known."""

    account: Account
    alias: str
    since: int | None


class ConversationRecord(Struct, frozen=True):
    """``accounts``: the two keys of a pair (twice the same for messages to oneself), else empty.
    ``room_id`` is empty but for rooms."""

    key: int
    kind: ConversationKind
    accounts: tuple[int, int] | tuple[()]
    room_id: str = ""


class RoomRecord(Struct, frozen=True):
    """A room that exists; a deleted room's id made again is another conversation."""

    id: str
    name: str
    owner: int
    conversation: int


class NewMessage(Struct):
    """A message to be kept. ``client_id`` is the 16 bytes of the UUID, if there is one."""

    conversation: int
    sender: int
    client_id: bytes | None
    sent_at: int
    data: str


class Appended(Struct, frozen=True):
    """Where a message was kept. ``duplicate``: it was there already, and this is where."""

    conversation: int
    seq: int
    sent_at: int
    duplicate: bool = False


class MessageRecord(Struct, frozen=True):
    """A message as kept; ``data`` is empty once it is removed."""

    conversation: int
    seq: int
    sender: int
    client_id: bytes | None
    sent_at: int
    data: str
    removed: bool = False


class Membership(Struct, frozen=True):
    """One account in one conversation: what it may read from, and how far it has come."""

    conversation: int
    account: int
    first_seq: int
    delivered_seq: int
    read_seq: int


class ConversationSummary(Struct, frozen=True):
    """A line of somebody's conversation list. ``peer`` is the other one's membership in a pair,
    None in rooms and ALL. ``unread`` leaves out the account's own messages, removed ones and those
    of accounts that it has blocked; it stops at 1,000."""

    conversation: ConversationRecord
    membership: Membership
    peer: Membership | None
    last_seq: int
    last: MessageRecord | None
    unread: int


class CursorMove(Struct, frozen=True):
    """Moves forward only; a ``read`` cursor takes ``delivered`` along."""

    conversation: int
    account: int
    delivered_seq: int = 0
    read_seq: int = 0
