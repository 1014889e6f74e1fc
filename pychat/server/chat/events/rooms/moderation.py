"""``room``: topic, members, roles, invitations, removals, and transfer to another owner."""

from __future__ import annotations

from functools import partial

from pychat.protocol import (
    ROOM_PREFIX,
    Code,
    Event,
    MemberPayload,
    MembersAnswer,
    MembershipPayload,
    ProtocolError,
    RoomRequest,
)
from pychat.server.chat.answers import Answers, encode
from pychat.server.chat.delivery import Delivery
from pychat.server.chat.events.history import invalid_cursor
from pychat.server.chat.notices.room_list import RoomList
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import OnlineUser, Room
from pychat.server.chat.state.reach import Reach
from pychat.server.chat.state.roles import Roles, role_of
from pychat.server.chat.state.session import ChatSession
from pychat.server.chat.views import shown_status
from pychat.server.store.base import Store, decode_cursor, encode_cursor
from pychat.server.store.records import Block, Standing
from pychat.visible import shown_name

MAX_STANDINGS = 1_000
"""Limit for the moderators of a room, those who were removed and those who are invited, together.
All are kept in memory."""


class Moderation:
    """What owners and moderators do in a room. ``Rooms`` lets one change at a time in."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        reach: Reach,
        room_list: RoomList,
        delivery: Delivery,
        answers: Answers,
        roles: Roles,
    ) -> None:
        self._store = store
        self._directory = directory
        self._reach = reach
        self._room_list = room_list
        self._delivery = delivery
        self._answers = answers
        self._roles = roles

    async def owned(self, user: OnlineUser, id: str) -> Room:
        """Return a room of which the user may do everything. Raises ProtocolError 400, 403, 404 or
        503."""
        room = await self._directory.room(user, id, "roomId")
        if not self._roles.owns(user, room):
            raise ProtocolError(Code.FORBIDDEN, f"you do not own room {room.id}", field="roomId")
        return room

    async def change(self, user: OnlineUser, request: RoomRequest) -> str:
        """Apply a command and return the text of the answer. Raises ProtocolError and
        StoreError."""
        if request.command == "topic":
            return await self._set_topic(user, request)
        other = await self._directory.user(request.user, "user")
        match request.command:
            case "role":
                return await self._set_role(user, request, other)
            case "invite":
                return await self._invite(user, request, other)
            case "kick":
                return await self._kick(user, request, other)
            case _:
                return await self._transfer(user, request, other)

    async def _set_topic(self, user: OnlineUser, request: RoomRequest) -> str:
        room = await self._moderated(user, request.room_id)
        topic = shown_name(request.topic.strip(), "")
        await self._store.update_room(room.key, topic=topic)
        room.topic = topic
        self._room_list.room_changed(room)
        return f"the topic of room {room.id} is set" if topic else f"room {room.id} has no topic"

    async def _set_role(self, user: OnlineUser, request: RoomRequest, other: OnlineUser) -> str:
        room = await self.owned(user, request.room_id)
        _require_member(room, other)
        if other.key == room.owner:
            raise ProtocolError(
                Code.FORBIDDEN, f"{other.id} owns the room: transfer it first", field="user"
            )
        standing = Standing.MODERATOR if request.role == "moderator" else None
        if room.standings.get(other.key) is not standing:
            if standing is not None:
                self._require_space(room, other)
            await self._directory.memberships.set_standing(room, other, standing)
            self._tell(user, room, other)
        return f"{other.id} is a {request.role} of room {room.id}"

    async def _invite(self, user: OnlineUser, request: RoomRequest, other: OnlineUser) -> str:
        room = await self._directory.joined_room(user, request.room_id, "roomId")
        done = f"{other.id} is invited to room {room.id}"
        if other.key in room.members:
            return f"{other.id} is in room {room.id}"
        standing = room.standings.get(other.key)
        if standing is Standing.BARRED and not self._roles.moderates(user, room):
            raise ProtocolError(
                Code.FORBIDDEN,
                f"{other.id} was removed from the room: only a moderator can invite them again",
                field="user",
            )
        self._require_space(room, other)
        # Neither a refusal nor an earlier answer must show whether the user has blocked this one.
        blocked = await self._has_blocked(other, user)
        after = standing if blocked else Standing.INVITED
        await self._directory.memberships.set_standing(room, other, after)
        if after is not standing:
            self._tell(user, room, other)
            self._room_list.changed_for({other.key})
        return done

    async def _has_blocked(self, other: OnlineUser, user: OnlineUser) -> bool:
        return user.key in await self._store.blocked(other.key)

    async def _kick(self, user: OnlineUser, request: RoomRequest, other: OnlineUser) -> str:
        room = await self._moderated(user, request.room_id)
        standing = room.standings.get(other.key)
        if other.key == room.owner or other is user:
            raise ProtocolError(
                Code.FORBIDDEN,
                "you cannot remove yourself: leave the room"
                if other is user
                else f"{other.id} owns the room",
                field="user",
            )
        if standing is Standing.MODERATOR and not self._roles.owns(user, room):
            raise ProtocolError(Code.FORBIDDEN, f"{other.id} is a moderator", field="user")
        # Who was in neither state is barred as well, but hears nothing of the room. A refusal would
        # show who has not received an invitation.
        concerned = other.key in room.members or standing is Standing.INVITED
        self._require_space(room, other)
        await self._directory.memberships.leave(room, other, barred=True)
        if concerned:
            self._tell(user, room, other)
            self._room_list.changed_for({other.key})
        # Nothing that the removed member has submitted is delivered after the answer.
        await self._delivery.settled()
        return f"{other.id} was removed from room {room.id}"

    async def _transfer(self, user: OnlineUser, request: RoomRequest, other: OnlineUser) -> str:
        room = await self.owned(user, request.room_id)
        _require_member(room, other)
        before = room.owner
        if other.key != before:
            await self._store.update_room(room.key, owner=other.key)
            room.owner, room.owner_id = other.key, other.id
            self._room_list.room_changed(room)
            self._tell(user, room, other)
            former = await self._directory.users({before})
            if before in former and before in room.members:
                self._tell(user, room, former[before])
        return f"{other.id} owns room {room.id}"

    def _require_space(self, room: Room, other: OnlineUser) -> None:
        if other.key not in room.standings and len(room.standings) >= MAX_STANDINGS:
            raise ProtocolError(
                Code.CONFLICT,
                f"room {room.id} has {MAX_STANDINGS:,} moderators, invitations and removed"
                " members, which is the limit",
                field="roomId",
            )

    async def _moderated(self, user: OnlineUser, id: str) -> Room:
        room = await self._directory.room(user, id, "roomId")
        if not self._roles.moderates(user, room):
            raise ProtocolError(
                Code.FORBIDDEN, f"you are not a moderator of room {room.id}", field="roomId"
            )
        return room

    def _tell(self, user: OnlineUser, room: Room, other: OnlineUser) -> None:
        """Notify somebody of what they are in the room now."""
        payload = MembershipPayload(ROOM_PREFIX + room.id, role_of(room, other.key), user.id)
        self._reach.notify({other.key}, Event.MEMBERSHIP, encode(payload))

    # --- members ---
    async def members(
        self, session: ChatSession, user: OnlineUser, request: RoomRequest, ack_id: int
    ) -> None:
        page = partial(self._page, user, request)
        members, next = await self._directory.read_for(user, page)
        answer = MembersAnswer(Code.DONE, "done", members=members)
        if next:
            answer.next = next
        self._answers.answer(session, ack_id, answer)

    async def _page(
        self, user: OnlineUser, request: RoomRequest
    ) -> tuple[list[MemberPayload], str]:
        try:
            (after,) = decode_cursor(request.cursor, 0)
        except ValueError:
            raise invalid_cursor() from None
        room = await self._directory.joined_room(user, request.room_id, "roomId")
        keys = sorted(key for key in room.members if key > after)[: request.limit]
        users = await self._directory.users(keys)
        hidden_by = {block.account.key: block for block in await self._store.blockers(user.key)}
        members = [
            self._member(user, room, users[key], hidden_by.get(key))
            for key in keys
            if key in users and key in room.members
        ]
        return members, encode_cursor(keys[-1]) if len(keys) == request.limit else ""

    def _member(
        self, user: OnlineUser, room: Room, member: OnlineUser, block: Block | None
    ) -> MemberPayload:
        """``block``: what the user sees of a member who has blocked them."""
        role = role_of(room, member.key)
        if block is not None:
            alias = shown_name(block.alias, member.id)
            return MemberPayload(member.id, alias, role, online=False)
        online = member is user or self._reach.sees_online(user, member.key)
        shown = MemberPayload(member.id, member.alias, role, online)
        if member.key not in user.blocked:
            shown.status, shown.status_text = shown_status(member.account)
        return shown


def _require_member(room: Room, other: OnlineUser) -> None:
    if other.key not in room.members:
        raise _not_a_member(room, other)


def _not_a_member(room: Room, other: OnlineUser) -> ProtocolError:
    return ProtocolError(Code.NOT_FOUND, f"{other.id} is not in room {room.id}", field="user")
