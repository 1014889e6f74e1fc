"""``login``, ``logout`` and ``sessions``: which user is logged in on a connection."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

import msgspec
from msgspec import UNSET

from pychat.protocol import (
    PROTOCOL_VERSION,
    Code,
    DevicePayload,
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
from pychat.server.chat.accounts.authentication import Authenticated, Authentication
from pychat.server.chat.accounts.changes import AccountChanges
from pychat.server.chat.answers import Answers
from pychat.server.chat.clock import now, rfc3339
from pychat.server.chat.limits import Limiter
from pychat.server.chat.notices.original import OriginalClients
from pychat.server.chat.notices.presence import Presence
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import OnlineUser
from pychat.server.chat.state.reach import Reach
from pychat.server.chat.state.relations import Relations
from pychat.server.chat.state.session import ChatSession, Work
from pychat.server.chat.views import shown_status
from pychat.server.store.base import Store, StoreError
from pychat.visible import shown_name

log = logging.getLogger(__name__)

LOGIN = msgspec.json.Decoder(LoginRequest)
LOGOUT = msgspec.json.Decoder(LogoutRequest)
SESSIONS = msgspec.json.Decoder(SessionsRequest)

MAX_CHECKS: Final = 5
"""A login whose account was checked again this often makes changes of accounts wait for it."""


class Logins:
    """Log users in and out. Only this class adds connections to users and removes them."""

    def __init__(
        self,
        store: Store,
        changes: AccountChanges,
        authentication: Authentication,
        directory: Directory,
        relations: Relations,
        reach: Reach,
        presence: Presence,
        original_clients: OriginalClients,
        limiter: Limiter,
        answers: Answers,
    ) -> None:
        self._store = store
        self._changes = changes
        self._authentication = authentication
        self._directory = directory
        self._relations = relations
        self._reach = reach
        self._presence = presence
        self._original_clients = original_clients
        self._limiter = limiter
        self._answers = answers
        self._tokens_logging_in: dict[int, list[str]] = {}
        """The ids of tokens with which an account is logging in, by account."""
        self._epoch = ""
        self.succeeded = 0
        """Number of logins since the start."""
        self.refused = 0
        """Number of refused logins since the start."""

    async def load(self) -> None:
        """Read the epoch of the store. Raises StoreError."""
        self._epoch = await self._store.epoch()

    # --- login ---
    def login(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work:
        login = decode(LOGIN, payload)
        check_id(login.id, "id")
        if login.protocol < 0:
            raise ProtocolError(Code.MALFORMED, "must not be negative", field="protocol")
        return self._login(session, login, ack_id)

    async def by_message(self, session: ChatSession, sender: str) -> None:
        """Log in the sender of a message, without an answer. Only where accounts are open."""
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
            authenticated = await self._authentication.authenticate(
                login, address=connection.remote_address
            )
            user = self._directory.keep(authenticated.account)
            connections = self._reach.connections_of(user.key)
            # Reserve a place for the connection before anything is changed for it.
            with (
                nullcontext()
                if session in connections
                else self._limiter.connection(user.key, len(connections))
            ):
                wants_token = ack_id is not None
                joined = False
                try:
                    await self._prepare(session, user, login, authenticated, noticed, wants_token)
                    joined = self._join(
                        session, user, login, authenticated, ack_id, answered=answered
                    )
                finally:
                    if not joined:
                        await self._discard_token(login, authenticated)
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
        if authenticated.login_token is not None and not login.token:
            await self._revoke_oldest(user)

    async def issue_token(self, id: str, alias: str, device: str) -> str:
        """Return a login token for an id that the application vouches for (``vouched``).

        Raises ProtocolError 400, 401, 403 or 503.
        """
        authenticated = await self._authentication.vouched(id, alias)
        user = self._directory.keep(authenticated.account)
        await self._authentication.add_token(authenticated, device)
        if authenticated.created:
            await self._add_newcomer(user)
        await self._revoke_oldest(user)
        return authenticated.token

    async def _add_newcomer(self, user: OnlineUser) -> None:
        member = await self._directory.memberships.member(self._directory.everyone, user)
        self._reach.add_newcomer(user.key, member.first_seq)

    async def _prepare(
        self,
        session: ChatSession,
        user: OnlineUser,
        login: LoginRequest,
        authenticated: Authenticated,
        noticed: int,
        wants_token: bool,
    ) -> None:
        """Do everything that has to wait, up to the join.

        ``noticed``: ``AccountChanges.noticed`` before the login was authenticated.
        """
        if wants_token:
            await self._authentication.add_token(authenticated, session.connection.user_agent)
        token = authenticated.login_token
        with self._logging_in(user, None if token is None else token.id):
            alias = shown_name(login.alias.strip(), "")
            if alias and await self._directory.change_profile(user, alias=alias):
                address = session.connection.remote_address
                audit.note("alias changed", id=user.id, alias=alias, address=address)
            if authenticated.created:
                await self._add_newcomer(user)
            await self._relations.load(user)
            for _ in range(MAX_CHECKS):
                if noticed == self._changes.noticed:
                    return
                noticed = self._changes.noticed
                await self._check_again(user, authenticated)
            # Changes of other accounts must not keep a login from its end.
            async with self._changes.none_noticed():
                await self._check_again(user, authenticated)

    async def _discard_token(self, login: LoginRequest, authenticated: Authenticated) -> None:
        """Revoke the token of a login that has failed: no client was given it."""
        token = authenticated.login_token
        if token is not None and not login.token:
            await self._changes.discard_token(token.account, token.id)

    async def _check_again(self, user: OnlineUser, authenticated: Authenticated) -> None:
        await self._authentication.check_again(authenticated)
        await self._relations.load(user)

    @contextmanager
    def _logging_in(self, user: OnlineUser, token: str | None) -> Iterator[None]:
        """Count a token as in use while its login is finished."""
        if token is None:
            yield
            return
        tokens = self._tokens_logging_in.setdefault(user.key, [])
        tokens.append(token)
        try:
            yield
        finally:
            tokens.remove(token)
            if not tokens:
                del self._tokens_logging_in[user.key]

    def _join(
        self,
        session: ChatSession,
        user: OnlineUser,
        login: LoginRequest,
        authenticated: Authenticated,
        ack_id: int | None,
        *,
        answered: bool,
    ) -> bool:
        """Log the user in. Return False if the client has disconnected.

        Nothing is awaited, so the answer is sent before any message, and no message after it is
        missed.
        """
        self.part(session)
        session.user = user
        session.login_id = login.id
        session.modern = login.protocol >= 1
        session.password_hash = authenticated.account.password_hash
        if authenticated.login_token is not None:
            session.token_id = authenticated.login_token.id
            session.token_hash = authenticated.login_token.token_hash
        session.connection.admit()
        if answered:
            self._answer(session, user, authenticated, login, ack_id)
        if session.closed:
            return False
        came_online = self._reach.join(session, user)
        self.succeeded += 1
        audit.note("login", id=user.id, address=session.connection.remote_address)
        if came_online:
            self._presence.came(user)
        if not session.modern:
            self._original_clients.start(session, user)
        return True

    async def _revoke_oldest(self, user: OnlineUser) -> None:
        """Revoke tokens if the account has too many. The login has already been answered."""
        try:
            revoked = await self._authentication.revoke_oldest(
                user.key, lambda: self._tokens_in_use(user)
            )
        except StoreError as error:
            log.warning("oldest logins not revoked until the next login: %r: %s", user.id, error)
        else:
            self._expel_tokens(user, revoked, but=None)

    def _tokens_in_use(self, user: OnlineUser) -> set[str]:
        """The ids of the user's tokens that are connected or logging in."""
        connected = {s.token_id for s in self._reach.connections_of(user.key)}
        tokens = connected.union(self._tokens_logging_in.get(user.key, ()))
        return {token for token in tokens if token is not None}

    def _answer(
        self,
        session: ChatSession,
        user: OnlineUser,
        authenticated: Authenticated,
        login: LoginRequest,
        ack_id: int | None,
    ) -> None:
        if ack_id is None:
            self._answers.respond(session, Event.LOGIN, Code.DONE, "logged in")
            return
        status, status_text = shown_status(user.account) if session.modern else (UNSET, UNSET)
        self._answers.answer(
            session,
            ack_id,
            LoginAnswer(
                Code.DONE,
                self._text(session, user, authenticated),
                id=user.id,
                alias=user.alias,
                token=authenticated.token,
                server_time=rfc3339(now()),
                protocol=min(login.protocol, PROTOCOL_VERSION),
                created=authenticated.created and session.modern,
                epoch=self._epoch if session.modern else UNSET,
                status=status,
                status_text=status_text,
            ),
        )

    def _text(self, session: ChatSession, user: OnlineUser, authenticated: Authenticated) -> str:
        claimed = authenticated.created and self._authentication.mode == "claim"
        if not session.modern:  # What original clients receive never changes, not even its words.
            suffix = "created: sign in with this password next time"
            return f"account {user.id} {suffix}" if claimed else "logged in"
        if claimed:
            return f"account {user.id} created: log in with this password next time"
        return f"account {user.id} created" if authenticated.created else "logged in"

    # --- logout ---
    def disconnected(self, session: ChatSession) -> None:
        """The connection ended. Its user stays set, for events that are still being handled."""
        session.closed = True
        self._original_clients.stop(session)
        if self._reach.leave(session) and session.user is not None:
            self._presence.went(session.user)

    def part(self, session: ChatSession) -> None:
        """Log the user out. The connection stays open."""
        user = session.user
        if user is None:
            return
        self._original_clients.stop(session)
        if self._reach.leave(session):
            self._presence.went(user)
        session.log_out()

    def expel(self, session: ChatSession) -> None:
        """Log the user out and disconnect the client."""
        if session.user is not None:
            audit.note("logged out by revocation", id=session.user.id)
        self.part(session)
        session.connection.close()

    async def expel_others(self, session: ChatSession, user: OnlineUser) -> None:
        """Log out the user's other devices. Raises StoreError, after which those that are connected
        are logged out, and others are not."""
        try:
            tokens = await self._store.login_tokens(user.key)
            others = [token.id for token in tokens if token.id != session.token_id]
            await self._changes.revoke_tokens(user.key, others)
        finally:
            self._expel_connections(session, user)

    def _expel_connections(self, session: ChatSession, user: OnlineUser) -> None:
        """Expel all connections of the user but this one. Those of original clients have no
        token."""
        for other in self._reach.connections_of(user.key):
            if other is not session:
                self.expel(other)

    def _expel_tokens(self, user: OnlineUser, ids: set[str], *, but: ChatSession | None) -> None:
        for other in self._reach.connections_of(user.key):
            if other is not but and other.token_id in ids:
                self.expel(other)

    def logout(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work:
        user = session.require_user()
        if payload != b"null":
            decode(LOGOUT, payload)
        return self._logout(session, user, ack_id)

    async def _logout(self, session: ChatSession, user: OnlineUser, ack_id: int | None) -> None:
        if session.token_id is not None:
            await self._changes.revoke_tokens(user.key, [session.token_id])
            self._expel_tokens(user, {session.token_id}, but=session)
        self.part(session)
        audit.note("logout", id=user.id, address=session.connection.remote_address)
        self._answers.done(session, Event.LOGOUT, ack_id, "logged out")

    # --- sessions ---
    def sessions(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work:
        user = session.require_user()
        request = decode(SESSIONS, payload)
        self._limiter.take(user.key, "changes")
        return self._sessions(session, user, request, ack_id)

    async def _sessions(
        self, session: ChatSession, user: OnlineUser, request: SessionsRequest, ack_id: int | None
    ) -> None:
        at = now()
        tokens = [t for t in await self._store.login_tokens(user.key) if t.expires_at > at]
        revoked: set[str] = set()
        if request.revoke is not None:
            ids = {t.id for t in tokens}
            if request.revoke == "all":
                revoked = ids
            elif request.revoke == "others":
                revoked = ids - {session.token_id or ""}
            elif request.revoke in ids:
                revoked = {request.revoke}
            else:
                raise ProtocolError(Code.NOT_FOUND, "is not one of your sessions", field="revoke")
            await self._changes.revoke_tokens(user.key, sorted(revoked))
            address = session.connection.remote_address
            audit.note("logins ended", id=user.id, logins=len(revoked), address=address)
        left = [
            DevicePayload(
                id=t.id,
                device=t.device,
                since=rfc3339(t.since),
                last_seen=rfc3339(t.last_seen_at),
                current=t.id == session.token_id,
            )
            for t in tokens
            if t.id not in revoked
        ]
        if ack_id is None:
            self._answers.done(session, Event.SESSIONS, None, "done")
        else:
            self._answers.answer(session, ack_id, SessionsAnswer(Code.DONE, "done", sessions=left))
        if request.revoke in ("all", "others"):
            self._expel_connections(session, user)
            if request.revoke == "all":
                self.expel(session)
        else:
            self._expel_tokens(user, revoked, but=None)
