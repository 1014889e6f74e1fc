"""``block`` and ``unblock``: hide a user from somebody, without a sign of it."""

from __future__ import annotations

import msgspec

from pychat.protocol import BlockRequest, Code, Event, ProtocolError, decode
from pychat.server.chat import audit
from pychat.server.chat.answers import Answers
from pychat.server.chat.clock import now
from pychat.server.chat.limits import Limiter
from pychat.server.chat.notices.cursors import CursorWriter
from pychat.server.chat.notices.presence import Presence
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import OnlineUser
from pychat.server.chat.state.relations import Relations
from pychat.server.chat.state.session import ChatSession, Work

DECODER = msgspec.json.Decoder(BlockRequest)


class Blocks:
    """Block messages, typing and presence of another account, on all devices of the user."""

    def __init__(
        self,
        relations: Relations,
        cursors: CursorWriter,
        directory: Directory,
        presence: Presence,
        limiter: Limiter,
        answers: Answers,
    ) -> None:
        self._relations = relations
        self._cursors = cursors
        self._directory = directory
        self._presence = presence
        self._limiter = limiter
        self._answers = answers

    def block(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work:
        user = session.require_user()
        request = decode(DECODER, payload)
        self._limiter.take(user.key, "changes")
        return self._block(session, user, request.id, ack_id)

    def unblock(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work:
        user = session.require_user()
        request = decode(DECODER, payload)
        self._limiter.take(user.key, "changes")
        return self._unblock(session, user, request.id, ack_id)

    async def _block(
        self, session: ChatSession, user: OnlineUser, id: str, ack_id: int | None
    ) -> None:
        other = await self._directory.user(id, "id")
        if other.key == user.key:
            raise ProtocolError(Code.MALFORMED, "must not be yourself", field="id")
        # The other account gets receipts of what was read before the block, and none after it.
        async with self._cursors.paused():
            at = now()
            if await self._relations.block(user, other, at):
                self._presence.hide(user, other, at)
        audit.note("block", id=user.id, other=other.id, address=session.connection.remote_address)
        self._answers.done(session, Event.BLOCK, ack_id, f"{other.id} is blocked")

    async def _unblock(
        self, session: ChatSession, user: OnlineUser, id: str, ack_id: int | None
    ) -> None:
        other = await self._directory.user(id, "id")
        if await self._relations.unblock(user, other):
            self._presence.reveal(user, other)
        address = session.connection.remote_address
        audit.note("unblock", id=user.id, other=other.id, address=address)
        self._answers.done(session, Event.UNBLOCK, ack_id, f"{other.id} is not blocked")
