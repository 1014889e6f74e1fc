"""``room``: create, rename, delete, join, leave and list rooms, and let ``Moderation`` do more."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence

import msgspec

from pychat.protocol import (
    MAX_ALIAS_CHARACTERS,
    PRIVATE_ID_PREFIX,
    Code,
    Event,
    ProtocolError,
    RoomAnswer,
    RoomListPayload,
    RoomRequest,
    RoomsAnswer,
    canonical_id,
    check_id,
    check_new_id,
    decode,
)
from pychat.server.chat import audit
from pychat.server.chat.answers import Answers, encode, require_acknowledgement
from pychat.server.chat.delivery import Delivery
from pychat.server.chat.events.rooms.moderation import Moderation
from pychat.server.chat.limits import Limiter
from pychat.server.chat.notices.room_list import RoomList
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import OnlineUser, Room
from pychat.server.chat.state.session import ChatSession, Work
from pychat.server.chat.views import room_payload
from pychat.server.store.base import AlreadyExists, Store, StoreError
from pychat.server.store.lookalikes import lookalike_form
from pychat.server.store.records import Standing
from pychat.visible import shown_name

log = logging.getLogger(__name__)

RELOAD_SECONDS = 1.0
"""The delay before the rooms are read again; it doubles with each failure."""
MAX_RELOAD_SECONDS = 60.0
PRIVATE_ID_BYTES = 10
"""Of the random part of a private room's id, which nobody must be able to guess."""
DECODER = msgspec.json.Decoder(RoomRequest)


class Rooms:
    """Change rooms, and send the new list to every client.

    Changes are made one at a time, so that no user joins a room that is being deleted.
    """

    def __init__(
        self,
        store: Store,
        directory: Directory,
        room_list: RoomList,
        delivery: Delivery,
        limiter: Limiter,
        answers: Answers,
        moderation: Moderation,
    ) -> None:
        self._moderation = moderation
        self._store = store
        self._directory = directory
        self._room_list = room_list
        self._delivery = delivery
        self._limiter = limiter
        self._answers = answers
        self._changing = asyncio.Lock()
        self._reloading: asyncio.Task[None] | None = None

    def room(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work:
        user = session.require_user()
        request = decode(DECODER, payload)
        if request.command == "list":
            self._limiter.take(user.key, "queries")
            return self._list(session, user, ack_id)
        if request.command == "members":
            ack_id = require_acknowledgement(ack_id)
            self._limiter.take(user.key, "queries")
            return self._moderation.members(session, user, request, ack_id)
        # In a join or leave the field names the room's owner, who may be another user.
        owner_is_asker = request.room_owner in ("", user.id, session.login_id)
        if not owner_is_asker and request.command not in ("join", "leave"):
            raise ProtocolError(
                Code.FORBIDDEN, f"must be {user.id}, the user who is logged in", field="roomOwner"
            )
        self._limiter.take(user.key, "changes")
        return self._change(session, user, request, ack_id)

    async def _list(self, session: ChatSession, user: OnlineUser, ack_id: int | None) -> None:
        for room in self._room_list.rooms(user.key):
            await self._directory.memberships.settle(room)
        listed = []
        for room in self._room_list.rooms(user.key):
            payload = room_payload(room, user.key)
            payload.member = user.key in room.members
            listed.append(payload)
        if ack_id is None:
            self._answers.send(session, Event.ROOM, encode(RoomListPayload(listed)))
        else:
            self._answers.answer(session, ack_id, RoomsAnswer(Code.DONE, "done", rooms=listed))

    async def _change(
        self, session: ChatSession, user: OnlineUser, request: RoomRequest, ack_id: int | None
    ) -> None:
        if request.command == "create" and request.private:
            if request.room_id:
                raise ProtocolError(
                    Code.MALFORMED,
                    "must be empty: the server chooses the id of a private room",
                    field="roomId",
                )
            request.room_id = PRIVATE_ID_PREFIX + secrets.token_hex(PRIVATE_ID_BYTES)
        check_id(request.room_id, "roomId")
        async with self._changing:
            try:
                done = await self._apply(user, request)
            except ProtocolError:
                raise
            except Exception:
                # The store may or may not have made the change.
                if self._reloading is None:
                    self._reloading = asyncio.get_running_loop().create_task(self._reload())
                raise
        audit.note(
            f"room {request.command}",
            id=user.id,
            room=request.room_id,
            **({"user": request.user} if request.user else {}),
            address=session.connection.remote_address,
        )
        if request.command == "create" and request.private and ack_id is not None:
            answer = RoomAnswer(Code.DONE, done, room_id=request.room_id)
            self._answers.answer(session, ack_id, answer)
        elif ack_id is not None or request.command not in ("create", "update", "delete"):
            self._answers.done(session, Event.ROOM, ack_id, done)

    async def _apply(self, user: OnlineUser, request: RoomRequest) -> str:
        match request.command:
            case "create":
                return await self._create(user, request)
            case "update":
                return await self._rename(user, request)
            case "delete":
                return await self._delete(user, request)
            case "join":
                return await self._join(user, request)
            case "leave":
                return await self._leave(user, request)
            case _:
                return await self._moderation.change(user, request)

    async def _reload(self) -> None:
        """Read the rooms again, until it succeeds."""
        delay = RELOAD_SECONDS
        while True:
            async with self._changing:
                try:
                    await self._directory.load_rooms()
                    self._reloading = None
                    break
                except StoreError as error:
                    log.warning("rooms cannot be read: %s", error)
                except Exception:
                    log.exception("rooms cannot be read")
            await asyncio.sleep(delay)
            delay = min(2 * delay, MAX_RELOAD_SECONDS)
        self._room_list.changed()

    def close(self) -> set[asyncio.Task[None]]:
        """Return the tasks that still run."""
        return set() if self._reloading is None else {self._reloading}

    async def _create(self, user: OnlineUser, request: RoomRequest) -> str:
        check_new_id(request.room_id, "roomId")
        if request.room_id.startswith(PRIVATE_ID_PREFIX) and not request.private:
            raise ProtocolError(
                Code.MALFORMED,
                f"must not start with {PRIVATE_ID_PREFIX}: so do private rooms",
                field="roomId",
            )
        if canonical_id(request.room_id) in self._directory.rooms:
            raise _taken(request.room_id)
        # In a thread, because the first id beyond ASCII loads a table.
        ids = [room.id for room in self._directory.rooms.values()]
        alike = await asyncio.to_thread(_looks_like, request.room_id, ids)
        if alike is not None:
            raise _taken(alike)
        limits = self._limiter.limits
        if limits is not None:
            if len(self._directory.rooms) >= limits.rooms:
                raise ProtocolError(Code.FORBIDDEN, f"the limit of {limits.rooms} rooms is reached")
            owned = sum(room.owner == user.key for room in self._directory.rooms.values())
            if owned >= limits.rooms_per_user:
                raise ProtocolError(
                    Code.FORBIDDEN, f"you own {limits.rooms_per_user} rooms, which is the limit"
                )
        name = _name(request) or request.room_id
        try:
            record = await self._store.create_room(
                request.room_id, name, user.key, private=request.private
            )
        except AlreadyExists:
            raise _taken(request.room_id) from None
        room = self._directory.add_room(record, user.id)
        self._directory.memberships.created(room, user)
        self._room_list.room_changed(room)
        return f"room {room.id} created"

    async def _rename(self, user: OnlineUser, request: RoomRequest) -> str:
        room = await self._moderation.owned(user, request.room_id)
        name = _name(request)
        if not name:
            raise ProtocolError(Code.MALFORMED, "must not be empty", field="roomName")
        await self._store.update_room(room.key, name=name)
        room.name = name
        self._room_list.room_changed(room)
        return f"room {room.id} renamed to {name}"

    async def _delete(self, user: OnlineUser, request: RoomRequest) -> str:
        room = await self._moderation.owned(user, request.room_id)
        # Refuse new messages and deliver those submitted, before the room is deleted. If it is then
        # not known whether it was, nobody is told that there is no such room: clients would drop
        # their messages.
        room.undecided = True
        await self._delivery.settled()
        await self._store.delete_room(room.key)
        self._directory.remove_room(room)
        self._directory.removals += 1
        self._room_list.room_changed(room)
        return f"room {room.id} deleted"

    async def _join(self, user: OnlineUser, request: RoomRequest) -> str:
        room = await self._directory.room(user, request.room_id, "roomId")
        if room.standings.get(user.key) is Standing.BARRED:
            raise ProtocolError(
                Code.FORBIDDEN,
                f"you were removed from room {room.id}: a moderator can invite you again",
                field="roomId",
            )
        await self._directory.memberships.join(room, user)
        self._membership_changed(room, user)
        return f"you are in room {room.id}"

    async def _leave(self, user: OnlineUser, request: RoomRequest) -> str:
        room = await self._directory.joined_room(user, request.room_id, "roomId")
        await self._directory.memberships.leave(room, user)
        self._membership_changed(room, user)
        return f"you left room {room.id}"

    def _membership_changed(self, room: Room, user: OnlineUser) -> None:
        if room.private:
            self._room_list.changed_for({user.key})
        else:
            # The list is the same, and sending it would show that the user is there.
            self._room_list.changed(hidden_from=user.blocked)


def _looks_like(id: str, others: Sequence[str]) -> str | None:
    """Return one of the other ids that looks like this one."""
    form = lookalike_form(id)
    return next((other for other in others if lookalike_form(other) == form), None)


def _name(request: RoomRequest) -> str:
    name = shown_name(request.room_name.strip(), "")
    if len(name) > MAX_ALIAS_CHARACTERS:
        raise ProtocolError(
            Code.MALFORMED, f"must have at most {MAX_ALIAS_CHARACTERS} characters", field="roomName"
        )
    return name


def _taken(id: str) -> ProtocolError:
    return ProtocolError(Code.TAKEN, f"room {id} already exists", field="roomId")
