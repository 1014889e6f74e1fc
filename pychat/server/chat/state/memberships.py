"""Members of conversations: the first seq that each may read, and its cursors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pychat.protocol import ROOM_PREFIX, Code, ProtocolError
from pychat.server.chat.state.entities import Conversation, Everyone, Member, OnlineUser, Room
from pychat.server.chat.state.rereads import rereads
from pychat.server.store.base import Store
from pychat.server.store.records import Membership, RoomStanding, Standing

MAX_READ_SINGLY = 20
"""Of more accounts, all memberships are read at once."""
SETTLED_AT_ONCE = 500
"""Rooms whose members are read with one query."""


class Memberships:
    """The owner of ``Conversation.cursors``, ``Room.members``, ``Room.standings`` and
    ``Everyone.members``.

    Each join and leave increments ``Conversation.changes`` and ``OnlineUser.version``. A read that
    began before a change is repeated, because its result may be out of date.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._removing: set[tuple[Room, int]] = set()
        """Rooms and accounts whose removal has failed. The store may have made it, or half."""

    def is_known_member(self, room: Room, user: OnlineUser) -> bool:
        """Whether the user is a member. False also if the members have not been read yet."""
        return room.settled and user.key in room.members

    def loaded(self, rooms: Mapping[int, Room], standings: Iterable[RoomStanding]) -> None:
        """Apply the standings of all rooms, by the keys of their conversations. No change of rooms
        was in progress while they were read."""
        before = {room: _barred(room) for room in rooms.values()}
        for room in rooms.values():
            room.standings.clear()
        for each in standings:
            if each.conversation in rooms:
                rooms[each.conversation].standings[each.account] = each.standing
        for room, barred in before.items():
            if _barred(room) != barred:
                room.settled = False
                room.changes += 1

    async def finish_removals(self) -> None:
        """Finish the failed removals that the store has begun, once the standings have been read
        again. Raises StoreError."""
        for room, account in list(self._removing):
            if not room.deleted and room.standings.get(account) is Standing.BARRED:
                await self._store.leave_room(room.key, account, barred=True)
            self._removing.discard((room, account))

    async def settle(self, room: Room) -> None:
        """Read the room's members, unless it is deleted meanwhile.

        Raises ProtocolError 503 if the changes do not end, and StoreError.
        """
        for _ in rereads():
            if room.settled or room.deleted:
                return
            changes = room.changes
            members = await self._store.memberships([room.key])
            if room.changes == changes and not room.settled:
                self._settled(room, members)

    async def settle_all(self, rooms: Sequence[Room]) -> None:
        """Settle several rooms, most with few queries. Raises as ``settle`` does."""
        unsettled = [room for room in rooms if not room.settled and not room.deleted]
        for start in range(0, len(unsettled), SETTLED_AT_ONCE):
            some = unsettled[start : start + SETTLED_AT_ONCE]
            changes = [room.changes for room in some]
            found: dict[int, list[Membership]] = {room.key: [] for room in some}
            for member in await self._store.memberships(list(found)):
                found[member.conversation].append(member)
            for room, before in zip(some, changes, strict=True):
                if room.changes == before and not room.settled:
                    self._settled(room, found[room.key])
        for room in unsettled:
            await self.settle(room)

    def _settled(self, room: Room, members: Iterable[Membership]) -> None:
        barred = _barred(room)
        room.members = {m.account: m.first_seq for m in members if m.account not in barred}
        room.settled = True

    async def learn(self, everyone: Everyone, accounts: Iterable[int]) -> None:
        """Read the first seqs in ALL of these accounts. Raises StoreError."""
        unknown = [account for account in accounts if account not in everyone.members]
        found: list[Membership | None] = []
        if len(unknown) > MAX_READ_SINGLY:
            found += await self._store.memberships([everyone.key])
        else:
            for account in unknown:
                found.append(await self._store.membership(everyone.key, account))
        for member in found:
            if member is not None:
                everyone.members[member.account] = member.first_seq

    def created(self, room: Room, owner: OnlineUser) -> None:
        """Note that a room was created; its owner is its only member."""
        room.members = {owner.key: 1}
        room.settled = True

    def deleted(self, room: Room) -> None:
        """Drop the cursors of a room that was deleted."""
        room.cursors.clear()

    async def member(self, conversation: Conversation, user: OnlineUser) -> Member:
        """Return the user's cursors, from memory or the store.

        Raises ProtocolError 403 if the user is not a member, 404 if the room was deleted or is
        private, 503 if it is being deleted or the changes do not end, and StoreError.
        """
        member = None
        for _ in rereads():
            if (member := conversation.cursors.get(user.key)) is not None:
                break
            changes = conversation.changes
            record = await self._store.membership(conversation.key, user.key)
            if conversation.changes != changes:
                continue
            if isinstance(conversation, Room) and conversation.deleted:
                raise _no_room(conversation)
            if record is None and isinstance(conversation, Room) and conversation.private:
                raise _no_room(conversation)
            if record is None:
                raise ProtocolError(
                    Code.FORBIDDEN, "you are not in this conversation", field="with"
                )
            member = self._keep(conversation, record)
            break
        assert member is not None  # rereads() raises
        if isinstance(conversation, Room):
            conversation.require_decided()
        return member

    async def may_read(self, conversation: Conversation, user: OnlineUser, seq: int) -> bool:
        """Return whether the user is a member who may read this message, unless a block hides it.

        Raises ProtocolError 503 as ``member`` does, and StoreError.
        """
        try:
            member = await self.member(conversation, user)
        except ProtocolError as error:
            if error.code is Code.UNAVAILABLE:
                raise
            return False
        return seq >= member.first_seq

    async def join(self, room: Room, user: OnlineUser) -> None:
        """Make the user a member. Raises StoreError."""
        try:
            member = await self._store.join_room(room.key, user.key)
        except BaseException:
            self._reset(room, user)
            raise
        if room.members.get(user.key) != member.first_seq:
            room.cursors.pop(user.key, None)
        room.members[user.key] = member.first_seq
        if room.standings.get(user.key) is not Standing.MODERATOR:
            room.standings.pop(user.key, None)
        self._keep(room, member)
        self._changed(room, user)

    async def leave(self, room: Room, user: OnlineUser, *, barred: bool = False) -> None:
        """End the user's membership. ``barred``: the user cannot join again before an invitation.
        Raises StoreError."""
        try:
            await self._store.leave_room(room.key, user.key, barred=barred)
        except BaseException:
            if barred:
                # Somebody who was perhaps removed receives nothing, and does not join again and so
                # end the bar, until the rooms are read again.
                room.members.pop(user.key, None)
                room.standings[user.key] = Standing.BARRED
                self._removing.add((room, user.key))
            self._reset(room, user)
            raise
        room.members.pop(user.key, None)
        room.cursors.pop(user.key, None)
        if barred:
            room.standings[user.key] = Standing.BARRED
        else:
            room.standings.pop(user.key, None)
        self._changed(room, user)

    async def set_standing(self, room: Room, user: OnlineUser, standing: Standing | None) -> None:
        """Change the standing of an account.

        Raises StoreError. A moderator is then none until the rooms are read again.
        """
        try:
            await self._store.set_standing(room.key, user.key, standing)
        except BaseException:
            if room.standings.get(user.key) is Standing.MODERATOR:
                del room.standings[user.key]
            self._changed(room, user)
            raise
        if standing is None:
            room.standings.pop(user.key, None)
        else:
            room.standings[user.key] = standing
        self._changed(room, user)

    def moved(self, conversation: Conversation, membership: Membership) -> None:
        """Apply the store's answer to a move of cursors."""
        member = self._keep(conversation, membership)
        member.advance(membership.delivered_seq, membership.read_seq)

    def evict(self, conversation: Conversation, account: int) -> None:
        """Drop cached cursors that are ahead of the store's. The next use reads them again."""
        conversation.cursors.pop(account, None)

    def _keep(self, conversation: Conversation, record: Membership) -> Member:
        if isinstance(conversation, Everyone):
            conversation.members[record.account] = record.first_seq
        return conversation.cursors.setdefault(
            record.account, Member(record.first_seq, record.delivered_seq, record.read_seq)
        )

    def _reset(self, room: Room, user: OnlineUser) -> None:
        """Read the members again: the store may or may not have made the change.

        Until then messages go to those who are in ``members``.
        """
        room.settled = False
        room.cursors.pop(user.key, None)
        self._changed(room, user)

    def _changed(self, room: Room, user: OnlineUser) -> None:
        room.changes += 1
        user.version += 1


def _barred(room: Room) -> set[int]:
    """Return the accounts that were removed, perhaps from a store that has not answered."""
    return {key for key, standing in room.standings.items() if standing is Standing.BARRED}


def _no_room(room: Room) -> ProtocolError:
    return ProtocolError(Code.NOT_FOUND, f"there is no room {ROOM_PREFIX}{room.id}", field="with")
