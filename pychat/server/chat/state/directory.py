"""Accounts, rooms and pairs: looked up in memory first, then in the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar
from weakref import WeakValueDictionary

import msgspec

from pychat.protocol import (
    EVERYONE,
    ROOM_PREFIX,
    Availability,
    Code,
    ProtocolError,
    canonical_id,
    check_id,
)
from pychat.server.chat.state.entities import Conversation, Everyone, OnlineUser, Pair, Room
from pychat.server.chat.state.memberships import Memberships
from pychat.server.chat.state.reach import Reach
from pychat.server.chat.state.relations import Relations
from pychat.server.chat.state.rereads import rereads
from pychat.server.store.base import Store
from pychat.server.store.records import Account, ConversationKind, ConversationRecord, RoomRecord

T = TypeVar("T")

MAX_CACHED_USERS = 50_000


class Directory:
    """The owner of users and conversations in memory.

    Concurrent readers always get the same object. Methods that read the store raise StoreError.
    """

    def __init__(self, store: Store, reach: Reach, relations: Relations) -> None:
        self._store = store
        self._reach = reach
        self._relations = relations
        self.memberships = Memberships(store)
        self.removals = 0
        """Incremented when a message is removed or a room deleted."""
        self._users: dict[int, OnlineUser] = {}
        self._in_use: WeakValueDictionary[int, OnlineUser] = WeakValueDictionary()
        """All users that are referenced anywhere, evicted ones included."""
        self._pairs: WeakValueDictionary[int, Pair] = WeakValueDictionary()
        self._rooms_by_key: dict[int, Room] = {}
        self.rooms: dict[str, Room] = {}
        """All rooms, by canonical id."""
        self.everyone = Everyone(0)

    async def load(self) -> None:
        """Read ALL and the rooms, which stay in memory."""
        self.everyone = Everyone((await self._store.everyone()).key)
        await self.load_rooms()

    async def load_rooms(self) -> None:
        """Read the rooms again. The caller ensures that no change of rooms is in progress."""
        records = await self._store.rooms()
        standings = await self._store.standings()
        owners = await self.users({record.owner for record in records})
        stored = {record.conversation: record for record in records}
        for room in list(self.rooms.values()):
            if room.key in stored:
                room.undecided = False
            else:
                self.remove_room(room)
        for record in records:
            owner_id = owners[record.owner].id if record.owner in owners else ""
            known = self._rooms_by_key.get(record.conversation)
            if known is None:
                self.add_room(record, owner_id)
            else:
                known.update(record, owner_id)
        self.memberships.loaded(self._rooms_by_key, standings)
        await self.memberships.finish_removals()
        # The list of rooms shows private ones to their members.
        await self.memberships.settle_all([room for room in self.rooms.values() if room.private])

    def text_gone(self) -> None:
        """Let reads that are under way be repeated: they may contain a text that was removed."""
        self.removals += 1

    # --- users ---
    async def user(self, id: str, field: str) -> OnlineUser:
        """Look up a user by id. ``field`` names the request's field in errors.

        Raises ProtocolError 400 if it is not a valid id, 404 if there is no such account.
        """
        # The store is asked even for cached users: a faster answer would reveal who is online.
        account = await self._store.account(check_id(id, field))
        if account is None:
            raise ProtocolError(Code.NOT_FOUND, f"there is no account {id}", field=field)
        return self.keep(account)

    async def users(self, keys: Iterable[int]) -> dict[int, OnlineUser]:
        """Return the users with these keys. Unknown keys are left out."""
        found = {key: self._users.get(key) for key in keys}
        missing = [key for key, user in found.items() if user is None]
        if missing:
            for account in await self._store.accounts(missing):
                found[account.key] = self.keep(account)
        return {key: user for key, user in found.items() if user is not None}

    def keep(self, account: Account) -> OnlineUser:
        """Return the user of an account that was read from the store.

        A cached user is returned unchanged. Only this process changes an alias or the time last
        seen, so what was read can only be older.
        """
        user = self._users.get(account.key)
        if user is None:
            user = self._in_use.get(account.key)
            if user is None:
                user = self._in_use[account.key] = OnlineUser(account)
            if len(self._users) >= MAX_CACHED_USERS:
                self._evict_offline()
            self._users[account.key] = user
        return user

    async def change_profile(
        self,
        user: OnlineUser,
        *,
        alias: str | None = None,
        status: Availability | None = None,
        status_text: str | None = None,
    ) -> bool:
        """Change what is given. Return False if all was so already."""
        async with user.changing:
            old = user.account
            new = msgspec.structs.replace(
                old,
                alias=old.alias if alias is None else alias,
                status=status or old.status,
                status_text=old.status_text if status_text is None else status_text,
            )
            if new == old:
                return False
            await self._store.update_account(
                user.key, alias=alias, status=status, status_text=status_text
            )
            # The time last seen may have changed meanwhile.
            user.account = msgspec.structs.replace(
                user.account, alias=new.alias, status=new.status, status_text=new.status_text
            )
            user.version += 1
            return True

    def note_seen(self, user: OnlineUser, at: int) -> None:
        """Set the time the user went offline, in memory; ``keep_seen`` stores it."""
        user.account = msgspec.structs.replace(user.account, last_seen_at=at)
        user.version += 1

    async def keep_seen(self, user: OnlineUser, at: int) -> None:
        """Store the time the user was last seen, in milliseconds since the epoch."""
        async with user.changing:
            await self._store.update_account(user.key, last_seen_at=at)

    def _evict_offline(self) -> None:
        self._users = {key: user for key, user in self._users.items() if self._reach.is_online(key)}

    async def read_for(self, user: OnlineUser, read: Callable[[], Awaitable[T]]) -> T:
        """Return what ``read`` returns.

        It is called again if something changed meanwhile, for example if the user left a room or a
        message was removed: the result may contain what the user may no longer see. Raises
        ProtocolError 503 if the changes do not end.
        """
        for _ in rereads():
            moment = user.version, self.removals
            result = await read()
            if moment == (user.version, self.removals):
                return result
        raise AssertionError("rereads() raises")

    async def learn_ids(self, room: Room) -> None:
        """Read the ids of members that are not known yet."""
        unknown = room.members.keys() - room.ids.keys()
        if unknown:
            for user in (await self.users(unknown)).values():
                room.ids[user.key] = user.id
                room.keys[canonical_id(user.id)] = user.key

    # --- conversations ---
    def cached_conversation(self, user: OnlineUser, name: str) -> Conversation | None:
        """Return the conversation that the user calls ``name``, if it is in memory and the user may
        read it."""
        pair = user.pairs.get(name)
        if pair is not None:
            return pair
        if name == EVERYONE:
            return self.everyone
        if name.startswith(ROOM_PREFIX):
            return self.cached_room(user, name[1:])
        # Another spelling of an id is looked up: a faster answer would reveal what is cached.
        return None

    def cached_room(self, user: OnlineUser, id: str) -> Room | None:
        """Return a room if the user is known to be a member."""
        room = self.rooms.get(canonical_id(id))
        if room is not None and self.memberships.is_known_member(room, user):
            return room
        return None

    async def conversation(self, user: OnlineUser, name: str, field: str) -> Conversation | None:
        """Look up the conversation that the user calls ``name``.

        Return None for an account the user has no conversation with yet. Raises ProtocolError 400,
        403 or 404.
        """
        found = self.cached_conversation(user, name)
        if found is not None:
            return found
        if name.startswith(ROOM_PREFIX):
            return await self.joined_room(user, name[1:], field)
        other = await self.user(name, field)
        return await self.pair(user, other)

    async def room(self, user: OnlineUser, id: str, field: str) -> Room:
        """Look up a room that the user may know of, with its members. Raises ProtocolError 400,
        404, or 503 while the room is being deleted."""
        room = self.rooms.get(canonical_id(check_id(id, field)))
        # A private room is looked for in memory only: a later answer would reveal that it exists.
        if room is not None and not room.settled and room.is_visible_to(user.key):
            await self.memberships.settle(room)
        if room is None or room.deleted or not room.is_visible_to(user.key):
            raise ProtocolError(Code.NOT_FOUND, f"there is no room {ROOM_PREFIX}{id}", field=field)
        room.require_decided()
        return room

    async def joined_room(self, user: OnlineUser, id: str, field: str) -> Room:
        """Look up a room of which the user is a member. Raises ProtocolError 400, 403 or 404."""
        room = await self.room(user, id, field)
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
        self.memberships.deleted(room)

    async def pair(self, user: OnlineUser, other: OnlineUser) -> Pair | None:
        """Return the conversation of two users; None if there is none yet."""
        pair = user.pairs.get(other.id)
        if pair is not None:
            return pair
        record = await self._store.pair(user.key, other.key)
        return None if record is None else self._keep_pair(record.key, user, other)

    async def open_pair(self, user: OnlineUser, other: OnlineUser) -> Pair:
        """Return the conversation of two users, created if there is none yet."""
        pair = user.pairs.get(other.id)
        if pair is not None:
            return pair
        record = await self._store.open_pair(user.key, other.key)
        return self._keep_pair(record.key, user, other)

    def _keep_pair(self, key: int, user: OnlineUser, other: OnlineUser) -> Pair:
        pair = self._pairs.get(key)
        if pair is None:
            pair = self._pairs[key] = Pair(key, user.key, user.id, other.key, other.id)
            # Also after a plain read: the store may have created it although it reported an error.
            self._relations.met(user, other)
        user.pairs[other.id] = pair
        other.pairs[user.id] = pair
        return pair

    async def conversations(self, keys: Iterable[int]) -> dict[int, Conversation]:
        """Return the conversations with these keys. Unknown keys and deleted rooms are left out."""
        found: dict[int, Conversation] = {}
        missing = []
        for key in set(keys):
            known = self.cached_by_key(key)
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
        """Return the conversation of a record; None if it has just been deleted."""
        known = self.cached_by_key(record.key)
        if known is not None or record.kind is not ConversationKind.PAIR:
            return known
        a, b = record.accounts  # type: ignore[misc]  # a pair always has two
        users = await self.users({a, b})
        return self._keep_pair(record.key, users[a], users[b])

    def cached_by_key(self, key: int) -> Conversation | None:
        """Return the conversation with this key if it is in memory and not a deleted room."""
        if key == self.everyone.key:
            return self.everyone
        return self._rooms_by_key.get(key) or self._pairs.get(key)

    async def last_seq(self, conversation: Conversation) -> int:
        """Read the seq of the last message, and return it or a later one."""
        stored = await self._store.last_seq(conversation.key)
        conversation.last_seq = max(conversation.last_seq, stored)
        return conversation.last_seq
