"""``typing``: passed on to those it concerns, never stored."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import msgspec

from pychat.protocol import EVERYONE, ROOM_PREFIX, Event, Typing, TypingRequest, decode
from pychat.server.chat.answers import Answers, encode
from pychat.server.chat.connection import EncodeEvent
from pychat.server.chat.limits import Limiter
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import OnlineUser, Room
from pychat.server.chat.state.reach import LocalDelivery
from pychat.server.chat.state.session import ChatSession

DECODER = msgspec.json.Decoder(TypingRequest)


class TypingRelay:
    """In a pair to the other one, in rooms and ALL to who is online."""

    def __init__(
        self,
        directory: Directory,
        reach: LocalDelivery,
        limiter: Limiter,
        answers: Answers,
        encode_event: EncodeEvent,
    ) -> None:
        self._directory = directory
        self._reach = reach
        self._limiter = limiter
        self._answers = answers
        self._encode_event = encode_event

    def typing(
        self, session: ChatSession, payload: bytes, ack_id: int | None
    ) -> Coroutine[Any, Any, None] | None:
        user = session.require_user()
        request = decode(DECODER, payload)
        self._limiter.take(user, "typing")
        name = request.recepient
        if name == EVERYONE:
            self._tell(session, user, name, self._reach.users.keys(), request.typing)
        elif name.startswith(ROOM_PREFIX):
            room = self._directory.cached_conversation(user, name)
            if not isinstance(room, Room):
                return self._typing_in_room(session, user, request, ack_id)
            self._tell_room(session, user, room, request.typing)
        else:
            pair = user.pairs.get(name)
            if pair is None:
                return self._typing_to(session, user, request, ack_id)
            self._tell(session, user, name, (pair.other(user.key),), request.typing)
        self._answers.succeed(session, ack_id)
        return None

    async def _typing_in_room(
        self, session: ChatSession, user: OnlineUser, request: TypingRequest, ack_id: int | None
    ) -> None:
        room = await self._directory.joined_room(user, request.recepient[1:], "recepient")
        self._tell_room(session, user, room, request.typing)
        self._answers.succeed(session, ack_id)

    async def _typing_to(
        self, session: ChatSession, user: OnlineUser, request: TypingRequest, ack_id: int | None
    ) -> None:
        other = await self._directory.user(request.recepient, "recepient")
        self._tell(session, user, other.id, (other.key,), request.typing)
        self._answers.succeed(session, ack_id)

    def _tell_room(self, session: ChatSession, user: OnlineUser, room: Room, typing: bool) -> None:
        self._tell(session, user, ROOM_PREFIX + room.id, room.members, typing)

    def _tell(
        self, session: ChatSession, user: OnlineUser, name: str, accounts: Any, typing: bool
    ) -> None:
        packet = self._encode_event(Event.TYPING, encode(Typing(user.id, name, typing)))
        # Whom the user has blocked must not see that the user is there.
        hidden_from = user.blocked | self._reach.blockers(user.key)
        self._reach.tell_accounts(accounts, packet, hidden_from=hidden_from, but=session)
