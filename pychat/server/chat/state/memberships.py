"""Who is in which conversation, from which message on, and how far they have come."""

from __future__ import annotations

from pychat.protocol import ROOM_PREFIX, Code, ProtocolError
from pychat.server.chat.state.entities import Conversation, Member, OnlineUser, Room
from pychat.server.store.base import Store
from pychat.server.store.records import Membership


class Memberships:
    """The one owner of ``Conversation.cursors`` and ``Room.members``. Each join and leave moves
    ``Conversation.changes`` and ``User.version``: a read that began before it is repeated, because
    what it found may have been older."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def joined_at_hand(self, room: Room, user: OnlineUser) -> bool:
        """False, too, where it is not known yet."""
        return room.settled and user.key in room.members

    async def settle(self, room: Room) -> None:
        """Its members are known from here on, unless it has been deleted meanwhile."""
        while not room.settled and not room.deleted:
            changes = room.changes
            members = await self._store.memberships([room.key])
            if room.changes == changes and not room.settled:
                room.members = {member.account: member.first_seq for member in members}
                room.settled = True

    async def member(self, conversation: Conversation, user: OnlineUser) -> Member:
        """Raises ProtocolError 403 if the user is not in it, 404 if it has been deleted."""
        while (member := conversation.cursors.get(user.key)) is None:
            changes = conversation.changes
            record = await self._store.membership(conversation.key, user.key)
            if conversation.changes != changes:
                continue
            if isinstance(conversation, Room) and conversation.deleted:
                raise ProtocolError(
                    Code.NOT_FOUND, f"there is no room {ROOM_PREFIX}{conversation.id}", field="with"
                )
            if record is None:
                raise ProtocolError(
                    Code.FORBIDDEN, "you are not in this conversation", field="with"
                )
            self._keep(conversation, record)
        return member

    async def join(self, room: Room, user: OnlineUser) -> None:
        try:
            member = await self._store.join_room(room.key, user.key)
        except BaseException:
            self._doubt(room, user)
            raise
        if room.members.get(user.key) != member.first_seq:
            room.cursors.pop(user.key, None)
        room.members[user.key] = member.first_seq
        self._keep(room, member)
        self._changed(room, user)

    async def leave(self, room: Room, user: OnlineUser) -> None:
        try:
            await self._store.leave_room(room.key, user.key)
        except BaseException:
            self._doubt(room, user)
            raise
        room.members.pop(user.key, None)
        room.cursors.pop(user.key, None)
        self._changed(room, user)

    def kept(self, conversation: Conversation, membership: Membership) -> None:
        """Cursors have been moved in the store, which answered with this."""
        member = self._keep(conversation, membership)
        member.delivered_seq = max(member.delivered_seq, membership.delivered_seq)
        member.read_seq = max(member.read_seq, membership.read_seq)

    def _keep(self, conversation: Conversation, record: Membership) -> Member:
        return conversation.cursors.setdefault(
            record.account, Member(record.first_seq, record.delivered_seq, record.read_seq)
        )

    def _doubt(self, room: Room, user: OnlineUser) -> None:
        """The store may have done it or not. Messages go to those who were members last."""
        room.settled = False
        room.cursors.pop(user.key, None)
        self._changed(room, user)

    def _changed(self, room: Room, user: OnlineUser) -> None:
        room.changes += 1
        user.version += 1
