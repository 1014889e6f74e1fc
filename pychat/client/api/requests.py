"""Methods of ChatClient for people, rooms, devices and administration."""

from __future__ import annotations

import asyncio
from typing import Final, Literal

from msgspec import UNSET

from pychat import protocol
from pychat.client.core import ClientCore
from pychat.client.errors import AnswerLost, InvalidAnswer, RequestRefused
from pychat.client.models import DeviceInfo, MemberInfo, RoomInfo, UserInfo
from pychat.client.wire import device_info, is_shared, member_info, room_info, user_info
from pychat.protocol import Event

MAX_MEMBERS: Final = 100_000
"""Limit for the number of members, against a server whose list does not end."""


class ServerRequests:
    """Methods of ChatClient that send one request.

    Each raises RequestRefused if the server refuses, and ServerUnreachable while offline.
    """

    _core: ClientCore

    # --- people ---

    async def users(self, query: str = "", limit: int = protocol.DEFAULT_LIMIT) -> list[UserInfo]:
        """Return users with a word in the id or alias that begins with ``query``.

        An empty query matches all users. ``limit``: 1 to 100.
        """
        request = protocol.UsersRequest(query, limit)
        answer = await self._core.request(Event.USERS, request, protocol.UsersAnswer)
        return [user_info(user) for user in answer.users[:limit]]

    async def block(self, id: str) -> None:
        """Block a user. The user is not notified.

        Until ``unblock``, the user's new messages do not arrive, and old ones are hidden
        (``removed``) in every conversation.
        """
        await self._block(Event.BLOCK, id)

    async def unblock(self, id: str) -> None:
        """Unblock a user. Messages sent in the meantime are fetched and counted as unread."""
        await self._block(Event.UNBLOCK, id)

    async def _block(self, event: Event, id: str) -> None:
        try:
            await self._core.request(event, protocol.BlockRequest(id), protocol.Answer)
        except (AnswerLost, asyncio.CancelledError):
            self._reset_after_block(id)  # the server may have carried out the request
            raise
        self._reset_after_block(id)
        await self._core.sync.refreshed()

    def _reset_after_block(self, id: str) -> None:
        """Reset the conversations in which the block hides or shows messages."""
        # ``messages`` gives each message once: with it, there are no resets.
        if not self._core.transcripts.fetch_all:
            names = [each.name for each in self._core.roster.newest_first()]
            shared = [name for name in names if is_shared(name)]
            self._core.sync.reset([self._core.roster.known_name(id), *shared])

    # --- notifications ---

    async def set_notify(self, name: str, level: protocol.NotifyLevel) -> None:
        """Choose which messages of a conversation the user's clients announce, on all devices.

        ``level``: ``all``, ``mentions`` or ``muted``. Publishes ``ConversationChanged``, on the
        other devices too. Refused with 404 if there is no such conversation yet.
        """
        name, core = self._core.roster.known_name(name), self._core
        try:
            await core.request(Event.NOTIFY, protocol.NotifyRequest(name, level), protocol.Answer)
        except (AnswerLost, RequestRefused, asyncio.CancelledError) as error:
            if not isinstance(error, RequestRefused) or error.code.startswith("5"):
                core.sync.refresh()  # the server may have carried out the request
            raise
        core.notify_chosen(name, protocol.NotifyLevel(level))

    # --- rooms ---

    async def rooms(self) -> list[RoomInfo]:
        """Return all rooms that this user can see."""
        answer = await self._core.request(
            Event.ROOM, protocol.RoomRequest("list"), protocol.RoomsAnswer
        )
        return [room_info(room) for room in answer.rooms]

    async def create_room(self, id: str, name: str) -> None:
        """Create a room and join it as its owner. Refused with 409 if the id is taken."""
        user = self._core.reconnector.login.user
        await self._room(protocol.RoomRequest("create", id, name, user))
        await self._core.sync.refreshed()

    async def create_private_room(self, name: str) -> str:
        """Create a room that only its members and those who are invited can see. Join it as its
        owner, and return its id, which the server chooses."""
        user = self._core.reconnector.login.user
        request = protocol.RoomRequest("create", "", name, user, private=True)
        answer = await self._core.request(Event.ROOM, request, protocol.RoomAnswer)
        await self._core.sync.refreshed()
        return answer.room_id

    async def rename_room(self, id: str, name: str) -> None:
        """Rename a room. Refused with 403 unless the user is its owner."""
        user = self._core.reconnector.login.user
        await self._room(protocol.RoomRequest("update", id, name, user))

    async def delete_room(self, id: str) -> None:
        """Delete a room and its messages. Refused with 403 unless the user is its owner."""
        await self._room(protocol.RoomRequest("delete", id))
        self._left(id)

    async def join_room(self, id: str) -> None:
        """Join a room. It becomes the conversation ``#id``."""
        await self._room(protocol.RoomRequest("join", id))
        await self._core.sync.refreshed()

    async def leave_room(self, id: str) -> None:
        """Leave a room. The conversation ``#id`` is removed."""
        await self._room(protocol.RoomRequest("leave", id))
        self._left(id)

    async def members(self, id: str) -> list[MemberInfo]:
        """Return the members of a room that this user has joined."""
        members: dict[str, MemberInfo] = {}
        cursor: str | None = None
        while True:
            before = len(members)
            request = protocol.RoomRequest("members", id, cursor=cursor, limit=protocol.MAX_LIMIT)
            answer = await self._core.request(Event.ROOM, request, protocol.MembersAnswer)
            for member in answer.members:
                members.setdefault(member.id, member_info(member))
            if answer.next is UNSET or not answer.next:
                return list(members.values())
            if len(members) == before or len(members) > MAX_MEMBERS:
                raise InvalidAnswer("the list of members does not end")
            cursor = answer.next

    async def set_topic(self, id: str, topic: str) -> None:
        """Change the topic of a room; an empty one removes it. Refused with 403 unless the user is
        a moderator or the owner, like the methods below unless noted."""
        await self._room(protocol.RoomRequest("topic", id, topic=topic))

    async def invite(self, id: str, user: str) -> None:
        """Invite somebody to a room. All members may, but only a moderator somebody who was
        removed."""
        await self._room(protocol.RoomRequest("invite", id, user=user))

    async def kick(self, id: str, user: str) -> None:
        """Remove a member, who cannot join again until invited, or an invitation."""
        await self._room(protocol.RoomRequest("kick", id, user=user))

    async def set_role(self, id: str, user: str, role: Literal["member", "moderator"]) -> None:
        """Make a member a moderator, or a plain member again. Only the owner may."""
        await self._room(protocol.RoomRequest("role", id, user=user, role=role))

    async def transfer_room(self, id: str, user: str) -> None:
        """Make a member the owner of a room. Only the owner may."""
        await self._room(protocol.RoomRequest("transfer", id, user=user))

    async def _room(self, request: protocol.RoomRequest) -> None:
        await self._core.request(Event.ROOM, request, protocol.Answer)

    def _left(self, id: str) -> None:
        self._core.roster.left(protocol.ROOM_PREFIX + id)
        self._core.sync.invalidate()

    # --- the own account ---

    async def set_alias(self, alias: str) -> None:
        """Change the name that is shown beside the user's id. An empty one shows the id."""
        await self.change_profile(alias=alias)

    async def set_status(self, status: protocol.Availability, text: str = "") -> None:
        """Choose the status that others see: ``away``, ``dnd`` or ``online`` (neither), and a text
        of up to 100 characters."""
        await self.change_profile(status=status, status_text=text)

    async def change_password(self, password: str, new_password: str) -> None:
        """Change the user's password, and log out all other devices. ``password``: the current one.

        Refused with 403 if that is wrong, with 400 if the new one is too short, and with 503 if the
        other devices could not be logged out.
        """
        await self.change_profile(password=password, new_password=new_password)

    async def change_profile(
        self,
        *,
        alias: str | None = None,
        status: protocol.Availability | None = None,
        status_text: str | None = None,
        new_password: str | None = None,
        password: str = "",
    ) -> None:
        """Change several of these at once. Publishes ``ProfileChanged``, on other devices too.

        If ``password`` is wrong, or something else is refused, nothing is changed.
        """
        request = protocol.ProfileRequest(password=password)
        given = {"alias": alias, "status": status, "status_text": status_text}
        for name, value in (given | {"new_password": new_password}).items():
            if value is not None:
                setattr(request, name, value)
        answer = await self._core.request(Event.PROFILE, request, protocol.ProfileAnswer)
        self._core.profile_changed(answer)
        login = self._core.reconnector.login
        if new_password is not None and login.password is not None:
            login.password = new_password

    # --- devices and administration ---

    async def devices(self) -> list[DeviceInfo]:
        """Return the devices (login tokens) of this user. This one is ``current``."""
        return await self._devices(protocol.SessionsRequest())

    async def revoke(self, target: str) -> list[DeviceInfo]:
        """Log devices out and return the remaining ones.

        ``target``: the id of a device, ``others`` or ``all``.
        """
        return await self._devices(protocol.SessionsRequest(target))

    async def _devices(self, request: protocol.SessionsRequest) -> list[DeviceInfo]:
        answer = await self._core.request(Event.SESSIONS, request, protocol.SessionsAnswer)
        return [device_info(device) for device in answer.sessions]
