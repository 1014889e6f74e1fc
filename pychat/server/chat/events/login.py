"""``login``, ``logout`` and ``sessions``: a connection becomes somebody's, and ceases to be."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from typing import Any

import msgspec

from pychat import protocol
from pychat.protocol import (
    PROTOCOL_VERSION,
    Code,
    Event,
    LoginAnswer,
    LoginRequest,
    LogoutRequest,
    ProtocolError,
    SessionsAnswer,
    SessionsRequest,
    check_id,
    decode,
)
from pychat.server.chat import audit
from pychat.server.chat.accounts.authentication import Accounts, Entered
from pychat.server.chat.accounts.changes import AccountChanges
from pychat.server.chat.answers import Answers
from pychat.server.chat.clock import now, rfc3339
from pychat.server.chat.limits import Limiter
from pychat.server.chat.notices.original import Legacy
from pychat.server.chat.notices.presence import Presence
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import OnlineUser
from pychat.server.chat.state.reach import LocalDelivery
from pychat.server.chat.state.relations import Relations
from pychat.server.chat.state.session import ChatSession
from pychat.server.store.base import Store, StoreError
from pychat.visible import shown_name

log = logging.getLogger(__name__)

LOGIN = msgspec.json.Decoder(LoginRequest)
LOGOUT = msgspec.json.Decoder(LogoutRequest)
SESSIONS = msgspec.json.Decoder(SessionsRequest)


class Logins:
    """Who is logged in where; the only place that joins and parts connections and users."""

    def __init__(
        self,
        store: Store,
        changes: AccountChanges,
        accounts: Accounts,
        directory: Directory,
        relations: Relations,
        reach: LocalDelivery,
        presence: Presence,
        legacy: Legacy,
        limiter: Limiter,
        answers: Answers,
    ) -> None:
        self._store = store
        self._changes = changes
        self._accounts = accounts
        self._directory = directory
        self._relations = relations
        self._reach = reach
        self._presence = presence
        self._legacy = legacy
        self._limiter = limiter
        self._answers = answers
        self.succeeded = 0
        self.refused = 0

    def login(
        self, session: ChatSession, payload: bytes, ack_id: int | None
    ) -> Coroutine[Any, Any, None]:
        login = decode(LOGIN, payload)
        check_id(login.id, "id")
        if login.protocol < 0:
            raise ProtocolError(Code.MALFORMED, "must not be negative", field="protocol")
        return self._login(session, login, ack_id)

    async def by_message(self, session: ChatSession, sender: str) -> None:
        """Where accounts are open: log in as who a message says it is from, without an answer."""
        check_id(sender, "sender")
        await self._login(session, LoginRequest(sender), None, answered=False)
        session.logged_in_by_message = True

    async def _login(
        self,
        session: ChatSession,
        login: LoginRequest,
        ack_id: int | None,
        *,
        answered: bool = True,
    ) -> None:
        connection = session.connection
        self._limiter.login(connection.remote_address, "resumptions" if login.token else "logins")
        noticed = self._changes.noticed
        try:
            entered = await self._accounts.enter(login, address=connection.remote_address)
            user = self._directory.keep(entered.account)
            # A place for the connection, before anything is changed for it.
            with self._limiter.connection(user, session):
                await self._prepare(session, user, login, entered, noticed, ack_id is not None)
                self._join(session, user, login, entered, ack_id, answered=answered)
        except ProtocolError as error:
            self.refused += 1
            audit.note(
                "login refused",
                id=login.id,
                address=connection.remote_address,
                code=error.code,
                reason=str(error),
            )
            raise
        if entered.session is not None and not login.token:
            await self._end_oldest(user)

    async def _prepare(
        self,
        session: ChatSession,
        user: OnlineUser,
        login: LoginRequest,
        entered: Entered,
        noticed: int,
        wants_token: bool,
    ) -> None:
        """``noticed``: the changes of accounts before this one was looked at."""
        if wants_token:
            await self._accounts.add_token(entered, session.connection.user_agent)
        arriving = [] if entered.session is None else [entered.session.id]
        user.arriving_logins += arriving
        try:
            if alias := shown_name(login.alias.strip(), ""):
                await self._directory.change_alias(user, alias)
            if entered.made:
                everyone = self._directory.everyone
                member = await self._directory.memberships.member(everyone, user)
                self._reach.newcomers[user.key] = member.first_seq
            await self._relations.load(user)
            while noticed != self._changes.noticed:
                noticed = self._changes.noticed
                await self._accounts.check(entered)
                await self._relations.load(user)
        except ProtocolError:
            if entered.session is not None and not login.token:
                # Its token was told to nobody.
                await self._changes.revoke_sessions(user.key, [entered.session.id])
            raise
        finally:
            for id in arriving:
                user.arriving_logins.remove(id)

    def _join(
        self,
        session: ChatSession,
        user: OnlineUser,
        login: LoginRequest,
        entered: Entered,
        ack_id: int | None,
        *,
        answered: bool,
    ) -> None:
        """Nothing is awaited: the answer goes out before any message, none is missed after it."""
        self.part(session)
        session.user = user
        session.login_id = login.id
        session.modern = login.protocol >= 1
        session.password_hash = entered.account.password_hash
        if entered.session is not None:
            session.login_session = entered.session.id
            session.token_hash = entered.session.token_hash
        session.connection.admit()
        if answered:
            self._answer(session, user, entered, login, ack_id)
        if session.closed:
            return
        first = self._reach.join(session, user)
        self.succeeded += 1
        audit.note("login", id=user.id, address=session.connection.remote_address)
        if first:
            self._presence.came(user)
        if not session.modern:
            self._legacy.start(session, user)

    async def _end_oldest(self, user: OnlineUser) -> None:
        """The new login may be one too many; the answer has been given already."""
        try:
            ended = await self._accounts.end_oldest(user.key, lambda: _connected(user))
        except StoreError as error:
            log.warning("the oldest logins of %r go on until the next one: %s", user.id, error)
        else:
            self._end(user, ended, but=None)

    def _answer(
        self,
        session: ChatSession,
        user: OnlineUser,
        entered: Entered,
        login: LoginRequest,
        ack_id: int | None,
    ) -> None:
        if ack_id is None:
            self._answers.respond(session, Event.LOGIN, Code.DONE, "logged in")
            return
        self._answers.answer(
            session,
            ack_id,
            LoginAnswer(
                Code.DONE,
                (
                    f"{user.id} is yours now: this password logs you in again"
                    if entered.made and self._accounts.mode == "claim"
                    else "logged in"
                ),
                id=user.id,
                alias=user.alias,
                token=entered.token,
                server_time=rfc3339(now()),
                protocol=min(login.protocol, PROTOCOL_VERSION),
            ),
        )

    def disconnected(self, session: ChatSession) -> None:
        """The user stays on the session: what had come in before is still theirs."""
        session.closed = True
        self._legacy.stop(session)
        if self._reach.leave(session) and session.user is not None:
            self._presence.went(session.user)

    def part(self, session: ChatSession) -> None:
        """Nobody is logged in on that connection any more."""
        user = session.user
        if user is None:
            return
        self._legacy.stop(session)
        if self._reach.leave(session):
            self._presence.went(user)
        session.log_out()

    def logout(
        self, session: ChatSession, payload: bytes, ack_id: int | None
    ) -> Coroutine[Any, Any, None]:
        user = session.require_user()
        if payload != b"null":
            decode(LOGOUT, payload)
        return self._logout(session, user, ack_id)

    async def _logout(self, session: ChatSession, user: OnlineUser, ack_id: int | None) -> None:
        if session.login_session is not None:
            await self._changes.revoke_sessions(user.key, [session.login_session])
            self._end(user, {session.login_session}, but=session)
        self.part(session)
        audit.note("logout", id=user.id, address=session.connection.remote_address)
        self._answers.done(session, Event.LOGOUT, ack_id, "logged out")

    def sessions(
        self, session: ChatSession, payload: bytes, ack_id: int | None
    ) -> Coroutine[Any, Any, None]:
        user = session.require_user()
        request = decode(SESSIONS, payload)
        self._limiter.take(user, "changes")
        return self._sessions(session, user, request, ack_id)

    async def _sessions(
        self, session: ChatSession, user: OnlineUser, request: SessionsRequest, ack_id: int | None
    ) -> None:
        at = now()
        records = [s for s in await self._store.login_tokens(user.key) if s.expires_at > at]
        gone: set[str] = set()
        if request.revoke is not None:
            ids = {s.id for s in records}
            if request.revoke == "all":
                gone = ids
            elif request.revoke == "others":
                gone = ids - {session.login_session or ""}
            elif request.revoke in ids:
                gone = {request.revoke}
            else:
                raise ProtocolError(Code.NOT_FOUND, "you have no such session", field="revoke")
            await self._changes.revoke_sessions(user.key, sorted(gone))
            address = session.connection.remote_address
            audit.note("logins ended", id=user.id, logins=len(gone), address=address)
        left = [
            protocol.DevicePayload(
                id=s.id,
                device=s.device,
                since=rfc3339(s.since),
                last_seen=rfc3339(s.last_seen_at),
                current=s.id == session.login_session,
            )
            for s in records
            if s.id not in gone
        ]
        if ack_id is None:
            self._answers.done(session, Event.SESSIONS, None, "done")
        else:
            self._answers.answer(session, ack_id, SessionsAnswer(Code.DONE, "done", sessions=left))
        if request.revoke in ("all", "others"):
            # Those without a token too: clients of the original protocol.
            for other in list(user.sessions):
                if other is not session:
                    self.expel(other)
            if request.revoke == "all":
                self.expel(session)
        else:
            self._end(user, gone, but=None)

    def _end(self, user: OnlineUser, ids: set[str], *, but: ChatSession | None) -> None:
        for other in list(user.sessions):
            if other is not but and other.login_session in ids:
                self.expel(other)

    def expel(self, session: ChatSession) -> None:
        """Logged out and disconnected, after what waits has been written."""
        if session.user is not None:
            audit.note("logged out by revocation", id=session.user.id)
        self.part(session)
        session.connection.close()


def _connected(user: OnlineUser) -> set[str]:
    """The ids of its logins that are connected, or about to be."""
    return {s.login_session for s in user.sessions if s.login_session} | {*user.arriving_logins}
