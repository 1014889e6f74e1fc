"""``typing``: tell others that a user is typing. It is never stored."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pychat.protocol import EVERYONE, ROOM_PREFIX, Event, Typing, TypingRequest, decode
from pychat.server.chat.answers import Answers, encode
from pychat.server.chat.limits import Limiter
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import OnlineUser, Room
from pychat.server.chat.state.reach import Reach
from pychat.server.chat.state.session import ChatSession, Work

DECODER = msgspec.json.Decoder(TypingRequest)


class TypingRelay:
    """Notify the other account of a pair, or everybody online in rooms and ALL."""

    def __init__(
        self, directory: Directory, reach: Reach, limiter: Limiter, answers: Answers
    ) -> None:
        self._directory = directory
        self._reach = reach
        self._limiter = limiter
        self._answers = answers

    def typing(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work | None:
        user = session.require_user()
        request = decode(DECODER, payload)
        self._limiter.take(user.key, "typing")
        name = request.recepient
        if name == EVERYONE:
            self._notify(session, user, name, self._reach.accounts(), request.typing)
        elif name.startswith(ROOM_PREFIX):
            room = self._directory.cached_room(user, name[1:])
            if room is None:
                return self._typing_in_room(session, user, request, ack_id)
            self._notify_room(session, user, room, request.typing)
        else:
            pair = user.pairs.get(name)
            if pair is None:
                return self._typing_to(session, user, request, ack_id)
            self._notify(session, user, name, (pair.other(user.key),), request.typing)
        self._answers.succeed(session, ack_id)
        return None

    async def _typing_in_room(
        self, session: ChatSession, user: OnlineUser, request: TypingRequest, ack_id: int | None
    ) -> None:
        room = await self._directory.joined_room(user, request.recepient[1:], "recepient")
        self._notify_room(session, user, room, request.typing)
        self._answers.succeed(session, ack_id)

    async def _typing_to(
        self, session: ChatSession, user: OnlineUser, request: TypingRequest, ack_id: int | None
    ) -> None:
        other = await self._directory.user(request.recepient, "recepient")
        self._notify(session, user, other.id, (other.key,), request.typing)
        self._answers.succeed(session, ack_id)

    def _notify_room(
        self, session: ChatSession, user: OnlineUser, room: Room, typing: bool
    ) -> None:
        self._notify(session, user, ROOM_PREFIX + room.id, room.members, typing)

    def _notify(
        self,
        session: ChatSession,
        user: OnlineUser,
        name: str,
        accounts: Iterable[int],
        typing: bool,
    ) -> None:
        if self._reach.user(user.key) is not user:
            return  # gone meanwhile, and with it the knowledge of whom the user has blocked
        # Accounts that the user has blocked must not see that the user is there.
        hidden_from = user.blocked | self._reach.blockers(user.key)
        payload = encode(Typing(user.id, name, typing))
        self._reach.notify(accounts, Event.TYPING, payload, hidden_from=hidden_from, but=session)
