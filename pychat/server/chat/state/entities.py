"""Users and conversations as the chat has them at hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from pychat.server.store.records import Account
from pychat.server.store.records import RoomRecord as RoomRecord
from pychat.visible import shown_name

if TYPE_CHECKING:
    from pychat.server.chat.state.session import ChatSession
    from pychat.server.guard.bucket import TokenBucket

NOBODY: Final[frozenset[int]] = frozenset()
"""One for all users who have nobody to name: an empty set takes 216 bytes."""


class OnlineUser:
    """An account, with the connections it is logged in on. As long as anybody has hold of it
    there is no second one of the same account, so whoever finds a user finds all its connections.
    """

    __slots__ = (
        "__weakref__",
        "_changing",
        "account",
        "arriving",
        "arriving_logins",
        "blocked",
        "buckets",
        "id",
        "key",
        "pairs",
        "partners",
        "sessions",
        "version",
    )

    def __init__(self, account: Account) -> None:
        self.account = account
        self.key = account.key
        self.id = account.id
        self.sessions: list[ChatSession] = []
        self.arriving = 0
        """Connections whose login is right and not finished yet."""
        self.arriving_logins: list[str] = []
        """The ids of such logins."""
        self.version = 0
        """Moves with each change of what the store has of it: the answer of a read that began
        before it is older."""
        self._changing: asyncio.Lock | None = None
        self.pairs: dict[str, Pair] = {}
        """One-to-one conversations at hand, by the id of the other one."""
        self.partners = NOBODY
        """Those it shares a one-to-one conversation with; kept while online."""
        self.blocked = NOBODY
        """Whom it has blocked; kept while online."""
        self.buckets: dict[str, TokenBucket] | None = None

    @property
    def changing(self) -> asyncio.Lock:
        """Held while something of it is written to the store and then here, so that both end
        with the same change."""
        if self._changing is None:
            self._changing = asyncio.Lock()
        return self._changing

    @property
    def alias(self) -> str:
        return shown_name(self.account.alias, self.account.id)


class Member:
    """How far one account has come in a conversation."""

    __slots__ = ("delivered_seq", "first_seq", "read_seq")

    def __init__(self, first_seq: int, delivered_seq: int, read_seq: int) -> None:
        self.first_seq = first_seq
        self.delivered_seq = delivered_seq
        self.read_seq = read_seq


class Conversation:
    """What all conversations have. ``last_seq`` is -1 until it is known, and ``sent_seq`` that of
    the last message that was sent to its readers, 0 before the first. ``cursors`` holds the
    memberships at hand, by account; ``changes`` moves when somebody joins or leaves."""

    __slots__ = ("__weakref__", "changes", "cursors", "key", "last_seq", "sent_seq")

    def __init__(self, key: int) -> None:
        self.key = key
        self.last_seq = -1
        self.sent_seq = 0
        self.changes = 0
        self.cursors: dict[int, Member] = {}


class Everyone(Conversation):
    """``ALL``."""

    __slots__ = ()


class Pair(Conversation):
    """Two accounts, or one with itself. Ids and keys never change, so they are kept here."""

    __slots__ = ("a", "a_id", "b", "b_id")

    def __init__(self, key: int, a: int, a_id: str, b: int, b_id: str) -> None:
        super().__init__(key)
        self.a, self.a_id = a, a_id
        self.b, self.b_id = b, b_id

    def other(self, account: int) -> int:
        return self.b if account == self.a else self.a

    def other_id(self, account: int) -> str:
        return self.b_id if account == self.a else self.a_id


class Room(Conversation):
    """``members``: the first seq that each may read, by account; to be relied upon once
    ``settled``."""

    __slots__ = ("deleted", "id", "members", "name", "owner", "owner_id", "settled")

    def __init__(self, record: RoomRecord, owner_id: str) -> None:
        super().__init__(record.conversation)
        self.id = record.id
        self.name = shown_name(record.name, record.id)
        self.owner = record.owner
        self.owner_id = owner_id
        self.members: dict[int, int] = {}
        self.settled = False
        self.deleted = False
