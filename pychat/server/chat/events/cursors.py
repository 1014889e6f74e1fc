"""``delivered`` and ``read``: move a cursor forward."""

from __future__ import annotations

import msgspec

from pychat.protocol import Code, CursorRequest, ProtocolError, decode
from pychat.server.chat.answers import Answers
from pychat.server.chat.limits import Limiter
from pychat.server.chat.notices.cursors import CursorKind, CursorWriter
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import OnlineUser
from pychat.server.chat.state.session import ChatSession, Work

DECODER = msgspec.json.Decoder(CursorRequest)


class Cursors:
    """Check the requests and pass them to the CursorWriter, which answers them."""

    def __init__(
        self, directory: Directory, writer: CursorWriter, limiter: Limiter, answers: Answers
    ) -> None:
        self._directory = directory
        self._writer = writer
        self._limiter = limiter
        self._answers = answers

    def delivered(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work | None:
        return self._request(session, payload, ack_id, "delivered")

    def read(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work | None:
        return self._request(session, payload, ack_id, "read")

    def _request(
        self, session: ChatSession, payload: bytes, ack_id: int | None, kind: CursorKind
    ) -> Work | None:
        user = session.require_user()
        request = decode(DECODER, payload)
        self._limiter.take(user.key, "cursors")
        conversation = self._directory.cached_conversation(user, request.with_)
        member = None if conversation is None else conversation.cursors.get(user.key)
        if conversation is None or member is None or request.seq > conversation.last_seq:
            return self._request_from_store(session, user, request, ack_id, kind)
        self._writer.accept(session, user, conversation, member, kind, request.seq, ack_id)
        return None

    async def _request_from_store(
        self,
        session: ChatSession,
        user: OnlineUser,
        request: CursorRequest,
        ack_id: int | None,
        kind: CursorKind,
    ) -> None:
        conversation = await self._directory.conversation(user, request.with_, "with")
        last_seq = 0
        if conversation is not None:
            last_seq = conversation.last_seq
            if request.seq > last_seq:
                last_seq = await self._directory.last_seq(conversation)
        if request.seq > last_seq:
            raise ProtocolError(
                Code.MALFORMED, f"is beyond the last message, {last_seq}", field="seq"
            )
        if conversation is None:
            self._answers.succeed(session, ack_id)
            return
        member = await self._directory.memberships.member(conversation, user)
        self._writer.accept(session, user, conversation, member, kind, request.seq, ack_id)
