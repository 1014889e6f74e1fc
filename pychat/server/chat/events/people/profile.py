"""``profile``: users change their own alias and password."""

from __future__ import annotations

import logging

import msgspec
from msgspec import UNSET

from pychat.protocol import Code, Event, ProfileAnswer, ProfileRequest, ProtocolError, decode
from pychat.server.chat import audit
from pychat.server.chat.accounts.authentication import Authentication
from pychat.server.chat.answers import Answers
from pychat.server.chat.events.login import Logins
from pychat.server.chat.limits import Limiter
from pychat.server.chat.notices.presence import Presence
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import OnlineUser
from pychat.server.chat.state.session import ChatSession, Work
from pychat.server.store.base import StoreError
from pychat.visible import shown_name, visible

log = logging.getLogger(__name__)

PROFILE = msgspec.json.Decoder(ProfileRequest)


class Profiles:
    """Change what users may change of their own accounts."""

    def __init__(
        self,
        directory: Directory,
        authentication: Authentication,
        logins: Logins,
        presence: Presence,
        limiter: Limiter,
        answers: Answers,
    ) -> None:
        self._directory = directory
        self._authentication = authentication
        self._logins = logins
        self._presence = presence
        self._limiter = limiter
        self._answers = answers

    def profile(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work:
        user = session.require_user()
        request = decode(PROFILE, payload)
        if (request.alias is UNSET) == (request.new_password is UNSET):
            raise ProtocolError(Code.MALFORMED, "send alias or newPassword, and not both")
        self._limiter.take(user.key, "changes")
        return self._profile(session, user, request, ack_id)

    async def _profile(
        self, session: ChatSession, user: OnlineUser, request: ProfileRequest, ack_id: int | None
    ) -> None:
        if isinstance(request.alias, str):
            await self._rename(user, request.alias.strip())
        if isinstance(request.new_password, str):
            await self._change_password(session, user, request.password, request.new_password)
        if ack_id is None:
            self._answers.done(session, Event.PROFILE, None, "done")
        else:
            answer = ProfileAnswer(Code.DONE, "done", id=user.id, alias=user.alias)
            self._answers.answer(session, ack_id, answer)

    async def _rename(self, user: OnlineUser, alias: str) -> None:
        shown = shown_name(alias, user.id)
        if alias and not visible(alias):
            raise ProtocolError(Code.MALFORMED, "shows nothing", field="alias")
        if shown != user.alias:
            await self._directory.change_alias(user, shown)
            self._presence.renamed(user)

    async def _change_password(
        self, session: ChatSession, user: OnlineUser, password: str, new_password: str
    ) -> None:
        address = session.connection.remote_address
        session.password_hash = await self._authentication.change_password(
            user.account, password, new_password, address=address
        )
        audit.note("password changed", id=user.id, address=address)
        try:
            await self._logins.expel_others(session, user)
        except StoreError as error:
            log.warning("other devices not logged out: user=%r: %s", user.id, error)
            raise ProtocolError(
                Code.UNAVAILABLE, "the password was changed, but other devices can still log in"
            ) from None
