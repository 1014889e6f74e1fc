"""``profile``: users change their own alias, status and password."""

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
from pychat.server.chat.views import shown_status
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
        asked = (request.alias, request.status, request.status_text, request.new_password)
        if all(each is UNSET for each in asked):
            raise ProtocolError(Code.MALFORMED, "send alias, status, statusText or newPassword")
        for field, text in (("alias", request.alias), ("statusText", request.status_text)):
            if text and text.strip() and not visible(text):
                raise ProtocolError(Code.MALFORMED, "shows nothing", field=field)
        self._limiter.take(user.key, "changes")
        return self._profile(session, user, request, ack_id)

    async def _profile(
        self, session: ChatSession, user: OnlineUser, request: ProfileRequest, ack_id: int | None
    ) -> None:
        # The password first: if the current one is wrong, nothing is changed.
        if isinstance(request.new_password, str):
            await self._change_password(session, user, request.password, request.new_password)
        await self._change_shown(session, user, request)
        if ack_id is None:
            self._answers.done(session, Event.PROFILE, None, "done")
        else:
            status, text = shown_status(user.account)
            answer = ProfileAnswer(
                Code.DONE, "done", id=user.id, alias=user.alias, status=status, status_text=text
            )
            self._answers.answer(session, ack_id, answer)

    async def _change_shown(
        self, session: ChatSession, user: OnlineUser, request: ProfileRequest
    ) -> None:
        """Change what others see of the user."""
        alias = status_text = None
        if isinstance(request.alias, str):
            alias = shown_name(request.alias.strip(), user.id)
        if isinstance(request.status_text, str):
            status_text = request.status_text.strip()
        before = user.alias
        if await self._directory.change_profile(
            user, alias=alias, status=request.status or None, status_text=status_text
        ):
            self._presence.profile_changed(user)
        if user.alias != before:
            address = session.connection.remote_address
            audit.note("alias changed", id=user.id, alias=user.alias, address=address)

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
