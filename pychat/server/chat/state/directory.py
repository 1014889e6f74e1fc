"""Who and what there is: accounts, conversations and memberships, read once and kept at hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar
from weakref import WeakValueDictionary

import msgspec

from pychat.protocol import (
    EVERYONE,
    ROOM_PREFIX,
    Code,
    ProtocolError,
    canonical_id,
    check_id,
)
from pychat.server.chat.state.entities import Conversation, Everyone, OnlineUser, Pair, Room
from pychat.server.chat.state.memberships import Memberships
from pychat.server.chat.state.relations import Relations
from pychat.server.store.base import Store
from pychat.server.store.records import Account, ConversationKind
from pychat.server.store.records import ConversationRecord as ConversationRecord
from pychat.server.store.records import RoomRecord as RoomRecord

T = TypeVar("T")

MAX_USERS_AT_HAND = 50_000


class Directory:
    """Everything is looked up here; what is not at hand is read from the store, and concurrent
    readers always end up with the same object."""

    def __init__(self, store: Store, relations: Relations) -> None:
        self._store = store
        self._relations = relations
        self.memberships = Memberships(store)
        self.removals = 0
        """Moves with each message that is removed, and each room that is deleted."""
        self._users: dict[int, OnlineUser] = {}
        self._in_use: WeakValueDictionary[int, OnlineUser] = WeakValueDictionary()
        """Those that somebody has hold of, too, though they may be at hand no more."""
        self._pairs: WeakValueDictionary[int, Pair] = WeakValueDictionary()
        self._rooms_by_key: dict[int, Room] = {}
        self.rooms: dict[str, Room] = {}
        """By canonical id."""
        self.everyone = Everyone(0)

    async def load(self) -> None:
        """The conversations that are always at hand: ALL and the rooms."""
        self.everyone = Everyone((await self._store.everyone()).key)
        await self.load_rooms()

    async def load_rooms(self) -> None:
        """As the store has them, while nobody changes them."""
        records = await self._store.rooms()
        owners = await self.users({record.owner for record in records})
        stored = {record.conversation: record for record in records}
        for room in list(self.rooms.values()):
            if room.key in stored:
                room.name = stored[room.key].name
            else:
                self.remove_room(room)
        for record in records:
            if record.conversation not in self._rooms_by_key:
                self.add_room(record, owners[record.owner].id if record.owner in owners else "")

    # --- users ---
    async def user(self, id: str, field: str) -> OnlineUser:
        """Raises ProtocolError: 400 if it cannot be an id, 404 if nobody has it."""
        # Even if it is at hand: a quicker answer would tell that it is online.
        account = await self._store.account(check_id(id, field))
        if account is None:
            raise ProtocolError(Code.NOT_FOUND, f"nobody is called {id}", field=field)
        return self.keep(account)

    async def users(self, keys: Iterable[int]) -> dict[int, OnlineUser]:
        """By key; unknown keys are left out."""
        found = {key: self._users.get(key) for key in keys}
        missing = [key for key, user in found.items() if user is None]
        if missing:
            for account in await self._store.accounts(missing):
                found[account.key] = self.keep(account)
        return {key: user for key, user in found.items() if user is not None}

    def keep(self, account: Account) -> OnlineUser:
        """The user of that account. What is at hand of it stays: nobody else changes an alias or
        the time last seen, so what the store has said may only be older."""
        user = self._users.get(account.key)
        if user is None:
            user = self._in_use.get(account.key)
            if user is None:
                user = self._in_use[account.key] = OnlineUser(account)
            if len(self._users) >= MAX_USERS_AT_HAND:
                self._forget_offline()
            self._users[account.key] = user
        return user

    async def change_alias(self, user: OnlineUser, alias: str) -> None:
        async with user.changing:
            if alias != user.account.alias:
                await self._store.update_account(user.key, alias=alias)
                user.account = msgspec.structs.replace(user.account, alias=alias)
                user.version += 1

    def note_seen(self, user: OnlineUser, at: int) -> None:
        """When the user went offline; ``keep_seen`` stores it."""
        user.account = msgspec.structs.replace(user.account, last_seen_at=at)
        user.version += 1

    async def keep_seen(self, user: OnlineUser, at: int) -> None:
        async with user.changing:
            await self._store.update_account(user.key, last_seen_at=at)

    def _forget_offline(self) -> None:
        self._users = {key: user for key, user in self._users.items() if user.sessions}

    async def read_for(self, user: OnlineUser, read: Callable[[], Awaitable[T]]) -> T:
        """What ``read`` reads for the user; again, if meanwhile the user has left a room or
        something was removed: it may hold what the user may not see."""
        while True:
            moment = user.version, self.removals
            result = await read()
            if moment == (user.version, self.removals):
                return result

    # --- conversations ---
    def cached_conversation(self, user: OnlineUser, name: str) -> Conversation | None:
        """The conversation the user calls so, if it is at hand and the user may read it."""
        pair = user.pairs.get(name)
        if pair is not None:
            return pair
        if name == EVERYONE:
            return self.everyone
        if name.startswith(ROOM_PREFIX):
            room = self.rooms.get(canonical_id(name[1:]))
            if room is not None and self.memberships.joined_at_hand(room, user):
                return room
            return None
        # Another spelling of an id is looked up: a quicker answer would tell who is at hand.
        return None

    async def conversation(self, user: OnlineUser, name: str, field: str) -> Conversation | None:
        """None for somebody there is no conversation with yet. Raises ProtocolError 400, 403 or
        404."""
        found = self.cached_conversation(user, name)
        if found is not None:
            return found
        if name.startswith(ROOM_PREFIX):
            return await self.joined_room(user, name[1:], field)
        other = await self.user(name, field)
        return await self.pair(user, other)

    async def room(self, id: str, field: str) -> Room:
        """With its members. Raises ProtocolError 400 or 404."""
        room = self.rooms.get(canonical_id(check_id(id, field)))
        if room is not None and not room.settled:
            await self.memberships.settle(room)
        if room is None or room.deleted:
            raise ProtocolError(Code.NOT_FOUND, f"there is no room {ROOM_PREFIX}{id}", field=field)
        return room

    async def joined_room(self, user: OnlineUser, id: str, field: str) -> Room:
        """Raises ProtocolError 400, 404, or 403 for a room the user is not in."""
        room = await self.room(id, field)
        if user.key not in room.members:
            raise ProtocolError(
                Code.FORBIDDEN, f"you are not in the room {ROOM_PREFIX}{room.id}", field=field
            )
        return room

    def add_room(self, record: RoomRecord, owner_id: str) -> Room:
        room = Room(record, owner_id)
        self.rooms[canonical_id(room.id)] = room
        self._rooms_by_key[room.key] = room
        return room

    def remove_room(self, room: Room) -> None:
        room.deleted = True
        if self.rooms.get(canonical_id(room.id)) is room:
            del self.rooms[canonical_id(room.id)]
        self._rooms_by_key.pop(room.key, None)
        room.cursors.clear()

    async def pair(self, user: OnlineUser, other: OnlineUser) -> Pair | None:
        pair = user.pairs.get(other.id)
        if pair is not None:
            return pair
        record = await self._store.pair(user.key, other.key)
        return None if record is None else self._keep_pair(record.key, user, other)

    async def open_pair(self, user: OnlineUser, other: OnlineUser) -> Pair:
        pair = user.pairs.get(other.id)
        if pair is not None:
            return pair
        record = await self._store.open_pair(user.key, other.key)
        return self._keep_pair(record.key, user, other)

    def _keep_pair(self, key: int, user: OnlineUser, other: OnlineUser) -> Pair:
        pair = self._pairs.get(key)
        if pair is None:
            pair = self._pairs[key] = Pair(key, user.key, user.id, other.key, other.id)
            # However it was found: the store may have made it and said that it could not.
            self._relations.met(user, other)
        user.pairs[other.id] = pair
        other.pairs[user.id] = pair
        return pair

    async def conversations(self, keys: Iterable[int]) -> dict[int, Conversation]:
        """By key; unknown keys and deleted rooms are left out."""
        found: dict[int, Conversation] = {}
        missing = []
        for key in set(keys):
            known = self._conversation_at_hand(key)
            if known is None:
                missing.append(key)
            else:
                found[key] = known
        if missing:
            for record in await self._store.conversations_by_key(missing):
                conversation = await self.from_record(record)
                if conversation is not None:
                    found[record.key] = conversation
        return found

    async def from_record(self, record: ConversationRecord) -> Conversation | None:
        """What the store calls so; None if it has just been deleted."""
        known = self._conversation_at_hand(record.key)
        if known is not None or record.kind is not ConversationKind.PAIR:
            return known
        a, b = record.accounts  # type: ignore[misc]  # a pair always has two
        users = await self.users({a, b})
        if a not in users or b not in users:
            return None
        return self._keep_pair(record.key, users[a], users[b])

    def _conversation_at_hand(self, key: int) -> Conversation | None:
        if key == self.everyone.key:
            return self.everyone
        return self._rooms_by_key.get(key) or self._pairs.get(key)

    def name(self, conversation: Conversation, user: OnlineUser) -> str:
        """What the user calls it on the wire: ``with``."""
        if isinstance(conversation, Pair):
            return conversation.other_id(user.key)
        return ROOM_PREFIX + conversation.id if isinstance(conversation, Room) else EVERYONE

    async def last_seq(self, conversation: Conversation) -> int:
        """As the store has it now, or later."""
        stored = await self._store.last_seq(conversation.key)
        conversation.last_seq = max(conversation.last_seq, stored)
        return conversation.last_seq
