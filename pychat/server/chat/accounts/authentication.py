"""Accounts: who may log in as whom, and the tokens that log in again."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Callable, Collection, Iterable
from functools import cached_property
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from pychat.protocol import EVERYONE, Code, LoginRequest, ProtocolError, canonical_id, check_new_id
from pychat.server.chat import audit
from pychat.server.chat.accounts.changes import AccountChanges
from pychat.server.chat.accounts.passwords import PasswordQueue, Passwords
from pychat.server.chat.clock import now
from pychat.server.chat.limits import Limiter
from pychat.server.guard.addresses import household
from pychat.server.store.base import AlreadyExists, Store
from pychat.server.store.lookalikes import lookalike_form
from pychat.server.store.records import Account, LoginToken
from pychat.visible import shown_name

log = logging.getLogger(__name__)

AccountsMode = Literal["claim", "open", "closed"]

SHORT_PASSWORD = 8
"""Characters; what has fewer is soon guessed (OWASP, NIST SP 800-63B)."""

CALLED: Final = ("Everyone", "You")
"""What screens call the conversation ALL and its reader: nobody else may be called that."""

TOKEN_BYTES = 32
TOKEN_LIFE_MS = 90 * 24 * 3600 * 1000
TOUCH_EVERY_MS = 60_000
"""A token that logs in again and again is prolonged no more often than that."""
MAX_SESSIONS_PER_ACCOUNT = 100
MAX_DEVICE_CHARACTERS = 256


class Entered(Struct):
    """A login that is right. ``token`` is empty, and ``session`` None, where none was made."""

    account: Account
    token: str = ""
    session: LoginToken | None = None
    made: bool = False
    """The account was made for it."""


class Accounts:
    """``claim``: the first login with a password claims the id. ``open``: any id, no password is
    looked at. ``closed``: only ids that are there.

    ``reserved``: ids that no login claims, nor one that looks like them: an admin's is made by
    the server's keeper. So are ``ALL`` and what screens call it and its reader.
    """

    def __init__(
        self,
        store: Store,
        changes: AccountChanges,
        mode: AccountsMode,
        limiter: Limiter,
        *,
        reserved: Iterable[str] = (),
    ) -> None:
        self._store = store
        self._changes = changes
        self.mode: AccountsMode = mode
        self._limiter = limiter
        self._reserved = [EVERYONE, *CALLED, *reserved]
        self._passwords = Passwords()
        self._turns = PasswordQueue()

    def close(self) -> None:
        self._passwords.close()

    async def enter(self, login: LoginRequest, *, address: str) -> Entered:
        """Who it is, changing nothing but that a new id is claimed. Raises ProtocolError 401, 403,
        429 or 503."""
        if self.mode == "open":
            entered = await self._open(login, address)
        elif login.token:
            entered = await self._by_token(login)
        else:
            async with self._turns.turn(household(address)):
                entered = await self._by_password(login, address)
        _check_enabled(entered.account)
        return entered

    async def check(self, entered: Entered) -> None:
        """Whether what was right when it was looked at still is. Raises ProtocolError 403, 503."""
        account = await self._account(entered.account.key)
        _check_enabled(account)
        if entered.session is None:
            still_valid = self._changes.same_password(
                account.password_hash, entered.account.password_hash
            )
        else:
            still_valid = await self._store.login_token(entered.session.token_hash) is not None
        if not still_valid:
            raise _changed()

    async def _account(self, key: int) -> Account:
        found = await self._store.accounts([key])
        if not found:
            raise _changed()
        return found[0]

    async def _open(self, login: LoginRequest, address: str) -> Entered:
        account = await self._store.account(login.id)
        if account is None:
            made = await self._create(login, None, address)
            if made is not None:
                return Entered(made, made=True)
            account = await self._store.account(login.id)
            if account is None:
                raise _taken()
        return Entered(account)

    async def _create(
        self, login: LoginRequest, password_hash: str | None, address: str
    ) -> Account | None:
        """None if somebody else was as quick, or the id looks like one that is there."""
        check_new_id(login.id, "id")
        self._limiter.login(address, "claims")
        # In a thread: the first one beyond ASCII reads a table.
        if await asyncio.to_thread(self._is_reserved, login.id):
            raise _taken()
        try:
            made = await self._store.create_account(
                login.id, shown_name(login.alias.strip(), login.id), password_hash, now()
            )
            audit.note("id claimed", id=made.id, address=address)
            return made
        except AlreadyExists:
            return None

    def _is_reserved(self, id: str) -> bool:
        return lookalike_form(id) in self._reserved_forms

    @cached_property
    def _reserved_forms(self) -> frozenset[str]:
        return frozenset(map(lookalike_form, self._reserved))

    async def _by_password(self, login: LoginRequest, address: str) -> Entered:
        if not login.password:
            raise ProtocolError(Code.UNAUTHORIZED, "must not be empty", field="password")
        canonical = canonical_id(login.id)
        self._limiter.password_allowed(canonical, address)
        account = await self._store.account(login.id)
        if account is None and self.mode == "claim":
            made = await self._claim(login, address)
            if made is not None:
                return Entered(made, made=True)
            account = await self._store.account(login.id)
            if account is None:
                raise _taken()
        if account is None:
            await self._passwords.verify_nobody(login.password)
        elif account.password_hash is None:
            if self.mode == "claim":
                raise ProtocolError(
                    Code.UNAUTHORIZED,
                    f"{account.id} has no password yet: the server's keeper can set one "
                    f"(pychat user passwd {account.id})",
                    field="id",
                )
            await self._passwords.verify_nobody(login.password)
        elif await self._passwords.verify(account.password_hash, login.password):
            self._limiter.password_was_right(canonical, address)
            return Entered(await self._rehashed(account, login.password))
        self._limiter.password_was_wrong(canonical, address)
        raise ProtocolError(Code.UNAUTHORIZED, "wrong id or password")

    async def _claim(self, login: LoginRequest, address: str) -> Account | None:
        if len(login.password) < SHORT_PASSWORD:
            # The protocol has no rule for passwords: a refusal would lock its clients out.
            log.warning(
                "%r is claimed with a short password, which is soon guessed: "
                "'pychat user passwd' sets another",
                login.id,
            )
        password_hash = await self._passwords.hash(login.password)
        return await self._create(login, password_hash, address)

    async def _rehashed(self, account: Account, password: str) -> Account:
        if account.password_hash is None or not self._passwords.outdated(account.password_hash):
            return account
        password_hash = await self._passwords.hash(password)
        if await self._changes.rehash_password(account.key, account.password_hash, password_hash):
            return replace(account, password_hash=password_hash)
        current = await self._account(account.key)
        if not self._changes.same_password(account.password_hash, current.password_hash):
            raise _changed()
        return current

    async def _by_token(self, login: LoginRequest) -> Entered:
        refused = ProtocolError(
            Code.UNAUTHORIZED, "is not valid any more: log in with the password", field="token"
        )
        session = await self._store.login_token(token_hash(login.token))
        if session is None or session.expires_at <= now():
            raise refused
        found = await self._store.accounts([session.account])
        if not found or canonical_id(found[0].id) != canonical_id(login.id):
            raise refused
        at = now()
        if at - session.last_seen_at >= TOUCH_EVERY_MS:
            session = replace(session, last_seen_at=at, expires_at=at + TOKEN_LIFE_MS)
            await self._store.touch_login_token(session.token_hash, at, session.expires_at)
        return Entered(found[0], login.token, session)

    async def add_token(self, entered: Entered, device: str) -> None:
        """Gives a login a token of its own if it has none. Raises ProtocolError 503."""
        if entered.token or self.mode == "open":
            return
        account = entered.account
        token = secrets.token_urlsafe(TOKEN_BYTES)
        at = now()
        session = LoginToken(
            id=secrets.token_urlsafe(9),
            account=account.key,
            token_hash=token_hash(token),
            device=device[:MAX_DEVICE_CHARACTERS],
            since=at,
            last_seen_at=at,
            expires_at=at + TOKEN_LIFE_MS,
        )
        await self._store.add_login_token(session)
        entered.token, entered.session = token, session
        # Whoever has changed the password after it was looked at may have listed the logins to
        # end before this one was there.
        current = await self._account(account.key)
        if not self._changes.same_password(current.password_hash, account.password_hash):
            await self._changes.revoke_sessions(account.key, [session.id])
            raise _changed()

    async def end_oldest(self, account: int, online: Callable[[], Collection[str]]) -> set[str]:
        """Ends the logins beyond the most that an account may have: those that were seen longest
        ago. ``online``: those that are connected, which end last. Returns their ids."""
        at = now()
        sessions = [s for s in await self._store.login_tokens(account) if s.expires_at > at]
        surplus = len(sessions) - MAX_SESSIONS_PER_ACCOUNT
        if surplus <= 0:
            return set()
        connected = online()
        sessions.sort(key=lambda session: (session.id in connected, session.last_seen_at))
        ended = [session.id for session in sessions[:surplus]]
        await self._changes.revoke_sessions(account, ended)
        return set(ended)


def _check_enabled(account: Account) -> None:
    if account.disabled:
        raise ProtocolError(Code.FORBIDDEN, "this id is disabled", field="id")


def _changed() -> ProtocolError:
    # Clients try that again by themselves, and get the answer that is right now.
    return ProtocolError(
        Code.UNAVAILABLE, "the account was changed meanwhile: try again", retry_after=1.0
    )


def _taken() -> ProtocolError:
    return ProtocolError(
        Code.UNAUTHORIZED, "is taken, or looks like one that is: choose another", field="id"
    )


def token_hash(token: str) -> bytes:
    """SHA-256: a token is 256 random bits, so nothing slower is needed."""
    return hashlib.sha256(token.encode()).digest()
