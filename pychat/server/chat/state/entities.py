"""Users, conversations and members, as the chat keeps them in memory."""

from __future__ import annotations

import asyncio
from typing import Final

from pychat.protocol import EVERYONE, ROOM_PREFIX, Code, ProtocolError
from pychat.server.store.records import Account, RoomRecord, Standing
from pychat.visible import shown_name

NO_ACCOUNTS: Final[frozenset[int]] = frozenset()
"""The empty set of accounts, shared because each empty set would take 216 bytes."""


class OnlineUser:
    """An account in memory, usually one with live connections.

    While a reference to a user exists, the directory gives out no second object for the same
    account.
    """

    __slots__ = (
        "__weakref__",
        "_changing",
        "account",
        "blocked",
        "id",
        "key",
        "pairs",
        "partners",
        "version",
    )

    def __init__(self, account: Account) -> None:
        self.account = account
        self.key = account.key
        self.id = account.id
        self.version = 0
        """Incremented when something that the store keeps of the user changes. The result of a read
        that began before is out of date."""
        self._changing: asyncio.Lock | None = None
        self.pairs: dict[str, Pair] = {}
        """Cached one-to-one conversations, by the other account's id. Owner: ``Directory``."""
        self.partners = NO_ACCOUNTS
        """Accounts that share a one-to-one conversation with the user. Valid while the user is
        online. Owner: ``Relations``."""
        self.blocked = NO_ACCOUNTS
        """Accounts that the user has blocked. Valid while the user is online. Owner:
        ``Relations``."""

    @property
    def changing(self) -> asyncio.Lock:
        """Hold it while a change is written to the store and then applied here, so that both end
        with the same change."""
        if self._changing is None:
            self._changing = asyncio.Lock()
        return self._changing

    @property
    def alias(self) -> str:
        return shown_name(self.account.alias, self.account.id)


class Member:
    """The cursors of one account in a conversation, and the first seq that it may read."""

    __slots__ = ("delivered_seq", "first_seq", "read_seq")

    def __init__(self, first_seq: int, delivered_seq: int, read_seq: int) -> None:
        self.first_seq = first_seq
        self.delivered_seq = delivered_seq
        self.read_seq = read_seq

    def advance(self, delivered_seq: int, read_seq: int) -> None:
        """Move the cursors forward; lower values change nothing."""
        self.delivered_seq = max(self.delivered_seq, delivered_seq)
        self.read_seq = max(self.read_seq, read_seq)


class Conversation:
    """What pairs, rooms and ALL have in common."""

    __slots__ = ("__weakref__", "changes", "cursors", "key", "last_seq", "sent_rev", "sent_seq")

    def __init__(self, key: int) -> None:
        self.key = key
        self.last_seq = -1
        """The highest seq known to be stored; -1 if unknown."""
        self.sent_seq = 0
        """The highest seq delivered to readers; 0 before the first."""
        self.sent_rev = 0
        """The highest rev delivered to readers; 0 before the first."""
        self.changes = 0
        """Incremented when somebody joins or leaves. Owner: ``Memberships``."""
        self.cursors: dict[int, Member] = {}
        """Cached members by account. Owner: ``Memberships``."""

    def name_for(self, account: int) -> str:
        """The name by which an account refers to the conversation on the wire (``with``)."""
        raise NotImplementedError


class Everyone(Conversation):
    """The conversation ``ALL``."""

    __slots__ = ("members",)

    def __init__(self, key: int) -> None:
        super().__init__(key)
        self.members: dict[int, int] = {}
        """The first seq that an account may read, for some accounts. It never changes. Owner:
        ``Memberships``."""

    def name_for(self, account: int) -> str:
        return EVERYONE


class Pair(Conversation):
    """A conversation of two accounts, or of one account with itself.

    The accounts' ids and keys never change, so the pair holds copies.
    """

    __slots__ = ("a", "a_id", "b", "b_id")

    def __init__(self, key: int, a: int, a_id: str, b: int, b_id: str) -> None:
        super().__init__(key)
        self.a, self.a_id = a, a_id
        self.b, self.b_id = b, b_id

    def other(self, account: int) -> int:
        """The key of the other account."""
        return self.b if account == self.a else self.a

    def other_id(self, account: int) -> str:
        """The id of the other account."""
        return self.b_id if account == self.a else self.a_id

    def name_for(self, account: int) -> str:
        return self.other_id(account)


class Room(Conversation):
    """A conversation with members who join and leave."""

    __slots__ = (
        "deleted",
        "id",
        "ids",
        "keys",
        "members",
        "name",
        "owner",
        "owner_id",
        "private",
        "settled",
        "standings",
        "topic",
        "undecided",
    )

    def __init__(self, record: RoomRecord, owner_id: str) -> None:
        super().__init__(record.conversation)
        self.id = record.id
        self.private = record.private
        self.update(record, owner_id)
        self.members: dict[int, int] = {}
        """The first seq that each member may read, by account. Complete once ``settled``. Owner:
        ``Memberships``."""
        self.standings: dict[int, Standing] = {}
        """Moderators among the members, those who were removed and those who are invited. Owner:
        ``Memberships``."""
        self.ids: dict[int, str] = {}
        """Ids of accounts that are or were members, which never change, by account. Read when a
        message contains an ``@``. Owner: ``Directory``."""
        self.keys: dict[str, int] = {}
        """The accounts of ``ids`` by their canonical ids."""
        self.settled = False
        self.deleted = False
        self.undecided = False
        """Whether the store was asked to delete it, and it is not known yet whether it has."""

    def update(self, record: RoomRecord, owner_id: str) -> None:
        """Apply what the store has."""
        self.name = shown_name(record.name, record.id)
        self.topic = record.topic
        self.owner = record.owner
        self.owner_id = owner_id

    def is_visible_to(self, account: int) -> bool:
        """Whether the account may know of the room."""
        return (
            not self.private
            or account in self.members
            or account == self.owner
            or self.standings.get(account) is Standing.INVITED
        )

    def require_decided(self) -> None:
        """Raises ProtocolError 503 while it is not known whether the room is deleted."""
        if self.undecided:
            raise ProtocolError(
                Code.UNAVAILABLE,
                f"room {self.id} is being deleted: try again",
                retry_after=1.0,
            )

    def name_for(self, account: int) -> str:
        return ROOM_PREFIX + self.id
