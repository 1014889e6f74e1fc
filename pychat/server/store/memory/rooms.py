"""Rooms, and what all conversations have, in the in-memory store."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

import msgspec

from pychat.protocol import canonical_id
from pychat.server.store.base import AlreadyExists
from pychat.server.store.memory.accounts import MemoryAccounts
from pychat.server.store.memory.files import MemoryFiles
from pychat.server.store.records import (
    EVERYONE,
    Appended,
    ConversationKind,
    ConversationRecord,
    Membership,
    MessageRecord,
    RoomRecord,
    RoomStanding,
    Standing,
)


class ConversationLog:
    """A conversation with its members and last messages.

    ``numbers``: the numbers of the messages among all messages of the store; ``number``: the last
    one. ``changed``: the seqs of messages that were changed, in the order of their revs.
    """

    __slots__ = (
        "changed",
        "conversation",
        "deleted",
        "last_seq",
        "members",
        "messages",
        "number",
        "numbers",
        "rev",
    )

    def __init__(self, conversation: ConversationRecord) -> None:
        self.conversation = conversation
        self.members: dict[int, Membership] = {}
        self.messages: deque[MessageRecord] = deque()
        self.numbers: deque[int] = deque()
        self.last_seq = 0
        self.number = 0
        self.changed: dict[int, None] = {}
        self.rev = 0
        self.deleted = False

    def after(self, seq: int) -> Iterable[MessageRecord]:
        """Return the messages with a greater seq that are still in memory, oldest first."""
        first = self.last_seq - len(self.messages) + 1
        return islice(self.messages, max(0, seq + 1 - first), None)

    def message(self, seq: int) -> MessageRecord | None:
        """Return a message, None if it is not in memory."""
        index = seq - 1 - (self.last_seq - len(self.messages))
        return self.messages[index] if 0 <= index < len(self.messages) else None

    def replace(self, message: MessageRecord) -> None:
        """Replace a message by its changed version. ``rev`` is 0 or the newest."""
        self.messages[message.seq - 1 - (self.last_seq - len(self.messages))] = message
        self.changed.pop(message.seq, None)
        if message.rev:
            self.changed[message.seq] = None
        self.rev = max(self.rev, message.rev)


class MemoryRooms(MemoryFiles, MemoryAccounts):
    """Implements the rooms of ``base.Store``."""

    def __init__(self) -> None:
        super().__init__()
        self._logs: dict[int, ConversationLog] = {EVERYONE.key: ConversationLog(EVERYONE)}
        self._next_conversation = EVERYONE.key + 1
        self._of_account: dict[int, set[int]] = {}
        self._rooms: dict[str, RoomRecord] = {}
        self._standings: dict[tuple[int, int], Standing] = {}
        self._client_ids: dict[tuple[int, bytes], Appended] = {}

    def _account_created(self, key: int) -> None:
        self._join(self._logs[EVERYONE.key], key, from_now=True)

    def _join(self, log: ConversationLog, account: int, *, from_now: bool) -> Membership:
        before = log.last_seq if from_now else 0
        membership = Membership(log.conversation.key, account, before + 1, before, before)
        membership = log.members.setdefault(account, membership)
        self._of_account.setdefault(account, set()).add(log.conversation.key)
        return membership

    def _new_log(
        self, kind: ConversationKind, accounts: tuple[int, int] | tuple[()], room_id: str = ""
    ) -> ConversationLog:
        key = self._next_conversation
        self._next_conversation += 1
        log = self._logs[key] = ConversationLog(ConversationRecord(key, kind, accounts, room_id))
        return log

    async def create_room(
        self, id: str, name: str, owner: int, *, private: bool = False
    ) -> RoomRecord:
        canonical = canonical_id(id)
        if canonical in self._rooms:
            raise AlreadyExists(id)
        log = self._new_log(ConversationKind.ROOM, (), id)
        room = RoomRecord(id, name, owner, log.conversation.key, private=private)
        self._rooms[canonical] = room
        self._join(log, owner, from_now=False)
        return room

    async def room(self, id: str) -> RoomRecord | None:
        return self._rooms.get(canonical_id(id))

    async def rooms(self) -> list[RoomRecord]:
        return [self._rooms[canonical] for canonical in sorted(self._rooms)]

    def _room_of(self, conversation: int) -> str | None:
        """Return the canonical id of the room with this conversation."""
        log = self._logs.get(conversation)
        if log is None or log.deleted or log.conversation.kind is not ConversationKind.ROOM:
            return None
        return canonical_id(log.conversation.room_id)

    async def update_room(
        self,
        conversation: int,
        *,
        name: str | None = None,
        topic: str | None = None,
        owner: int | None = None,
    ) -> None:
        canonical = self._room_of(conversation)
        if canonical is not None:
            given = {"name": name, "topic": topic, "owner": owner}
            changes = {field: value for field, value in given.items() if value is not None}
            self._rooms[canonical] = msgspec.structs.replace(self._rooms[canonical], **changes)

    async def delete_room(self, conversation: int) -> None:
        canonical = self._room_of(conversation)
        if canonical is None:
            return
        del self._rooms[canonical]
        log = self._logs[conversation]
        for account in log.members:
            self._of_account[account].discard(conversation)
        for message in log.messages:
            self._forget_file(message.file)
            if message.client_id is not None:
                del self._client_ids[message.sender, message.client_id]
        # Keep the empty log: a message that was submitted before the deletion may still arrive.
        log.deleted = True
        self._standings = {
            place: standing
            for place, standing in self._standings.items()
            if place[0] != conversation
        }
        log.members.clear()
        log.messages.clear()
        log.numbers.clear()
        log.changed.clear()

    async def join_room(self, conversation: int, account: int) -> Membership:
        if self._standings.get((conversation, account)) is not Standing.MODERATOR:
            self._standings.pop((conversation, account), None)
        return self._join(self._logs[conversation], account, from_now=True)

    async def leave_room(self, conversation: int, account: int, *, barred: bool = False) -> None:
        log = self._logs.get(conversation)
        if log and log.members.pop(account, None):
            self._of_account[account].discard(conversation)
        await self.set_standing(conversation, account, Standing.BARRED if barred else None)

    async def set_standing(
        self, conversation: int, account: int, standing: Standing | None
    ) -> None:
        if standing is None:
            self._standings.pop((conversation, account), None)
        elif self._room_of(conversation) is not None:
            self._standings[conversation, account] = standing

    async def standings(self) -> list[RoomStanding]:
        return [RoomStanding(*place, standing) for place, standing in self._standings.items()]

    async def members(self, conversation: int) -> list[int]:
        log = self._logs.get(conversation)
        return sorted(log.members) if log else []
