"""Authentication: logins by password or token, and new accounts."""

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

from pychat.protocol import (
    EVERYONE,
    SCREEN_NAMES,
    Code,
    LoginRequest,
    ProtocolError,
    canonical_id,
    check_new_id,
)
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

MIN_PASSWORD: Final = 8
"""Characters. Shorter passwords are easy to guess (OWASP, NIST SP 800-63B)."""

TOKEN_BYTES = 32
TOKEN_LIFE_MS = 90 * 24 * 3600 * 1000
TOUCH_EVERY_MS = 60_000
"""A token's expiry is extended at most once in this time."""
MAX_TOKENS_PER_ACCOUNT = 100
MAX_DEVICE_CHARACTERS = 256


class Authenticated(Struct):
    """A login whose credentials are correct."""

    account: Account
    token: str = ""
    """The login token; empty if there is none."""
    login_token: LoginToken | None = None
    """The stored record of ``token``."""
    created: bool = False
    """Whether this login created the account."""


class Authentication:
    """Check logins.

    ``mode``: with ``claim`` the first login with a password creates the account; with ``open``
    any id may log in and passwords are ignored; with ``closed`` only existing accounts may log in.

    ``reserved``: ids that no login may claim, nor an id that looks like one of them. Accounts of
    admins are created by the operator. ``ALL`` and SCREEN_NAMES are always reserved.

    ``min_password``: characters that the password of a new account must have, if the login says
    ``create``. Original clients cannot be told of a rule, so they may choose a shorter one.

    Methods that read the store raise StoreError.
    """

    def __init__(
        self,
        store: Store,
        changes: AccountChanges,
        mode: AccountsMode,
        limiter: Limiter,
        *,
        reserved: Iterable[str] = (),
        min_password: int = MIN_PASSWORD,
    ) -> None:
        self._store = store
        self._changes = changes
        self.mode: AccountsMode = mode
        self._limiter = limiter
        self._min_password = min_password
        self._reserved = [EVERYONE, *SCREEN_NAMES, *reserved]
        self._passwords = Passwords()
        self._queue = PasswordQueue()

    def close(self) -> None:
        self._passwords.close()

    async def authenticate(self, login: LoginRequest, *, address: str) -> Authenticated:
        """Check a login. It changes nothing, except that it may create the account.

        Raises ProtocolError 400, 401, 403, 404, 409, 429 or 503.
        """
        if login.create is True:
            self._check_creation(login)
        if self.mode == "open":
            authenticated = await self._open(login, address)
        elif login.token:
            authenticated = await self._by_token(login)
        else:
            async with self._queue.turn(household(address)):
                authenticated = await self._by_password(login, address)
        _check_enabled(authenticated.account)
        return authenticated

    def _check_creation(self, login: LoginRequest) -> None:
        """Refuse to create an account for a reason that does not depend on its id."""
        if self.mode == "closed":
            raise ProtocolError(Code.FORBIDDEN, "only the operator creates accounts on this server")
        if self.mode == "claim":
            if login.token:
                raise ProtocolError(
                    Code.MALFORMED, "cannot create an account: send a password", field="token"
                )
            self.check_length(login.password, "password")

    def check_length(self, password: str, field: str) -> None:
        """Raises ProtocolError 400 if a new password is too short."""
        if len(password) < self._min_password:
            raise ProtocolError(
                Code.MALFORMED, f"must have at least {self._min_password} characters", field=field
            )

    async def vouched(self, id: str, alias: str) -> Authenticated:
        """Return a login for an id that the application vouches for. Create a missing account,
        without a password.

        Raises ProtocolError 400, 401 (the id looks like another one), 403 (disabled) or 503.
        """
        check_new_id(id, "id")
        account, created = await self._store.account(id), False
        if account is None:
            account = await self._create(LoginRequest(id, alias=alias), None, "")
            created = account is not None
            account = account or await self._store.account(id)
        if account is None:
            raise _taken(LoginRequest(id))
        _check_enabled(account)
        return Authenticated(account, created=created)

    async def change_password(
        self, account: Account, password: str, new_password: str, *, address: str
    ) -> str:
        """Replace the password of an account, whose current one is checked like that of a login.

        Return the hash of the new one. Raises ProtocolError 400, 403, 429 or 503.
        """
        if self.mode == "open":
            raise ProtocolError(Code.FORBIDDEN, "this server uses no passwords")
        self.check_length(new_password, "newPassword")
        canonical = canonical_id(account.id)
        async with self._queue.turn(household(address)):
            self._limiter.password_allowed(canonical, address)
            current = await self._account(account.key)
            _check_enabled(current)
            old = current.password_hash
            if old is None or not await self._passwords.verify(old, password):
                self._limiter.password_was_wrong(canonical, address)
                raise ProtocolError(Code.FORBIDDEN, "is wrong", field="password")
            self._limiter.password_was_right(canonical, address)
            new = await self._passwords.hash(new_password)
        if not await self._changes.replace_password(account.key, old, new):
            raise ProtocolError(
                Code.UNAVAILABLE, "the password was changed meanwhile: try again", retry_after=1.0
            )
        return new

    async def check_again(self, authenticated: Authenticated) -> None:
        """Check that a login is still valid. Raises ProtocolError 403 or 503."""
        account = await self._account(authenticated.account.key)
        _check_enabled(account)
        if authenticated.login_token is None:
            still_valid = self._changes.same_password(
                account.password_hash, authenticated.account.password_hash
            )
        else:
            token_hash = authenticated.login_token.token_hash
            still_valid = await self._store.login_token(token_hash) is not None
        if not still_valid:
            raise _changed()

    async def _account(self, key: int) -> Account:
        (account,) = await self._store.accounts([key])
        return account

    # --- without a password ---
    async def _open(self, login: LoginRequest, address: str) -> Authenticated:
        account = await self._store.account(login.id)
        if account is None:
            _check_may_create(login)
            created = await self._create(login, None, address)
            if created is not None:
                return Authenticated(created, created=True)
            account = await self._store.account(login.id)
        if account is None or login.create is True:
            raise _taken(login)
        return Authenticated(account)

    async def _create(
        self, login: LoginRequest, password_hash: str | None, address: str
    ) -> Account | None:
        """Create the account. Return None if the id, or one that looks like it, exists."""
        check_new_id(login.id, "id")
        self._limiter.login(address, "claims")
        # In a thread, because the first id beyond ASCII loads a table.
        if await asyncio.to_thread(self._is_reserved, login.id):
            raise _taken(login)
        try:
            created = await self._store.create_account(
                login.id, shown_name(login.alias.strip(), login.id), password_hash, now()
            )
            audit.note("id claimed", id=created.id, address=address)
            return created
        except AlreadyExists:
            return None

    def _is_reserved(self, id: str) -> bool:
        return lookalike_form(id) in self._reserved_forms

    @cached_property
    def _reserved_forms(self) -> frozenset[str]:
        return frozenset(map(lookalike_form, self._reserved))

    # --- with a password ---
    async def _by_password(self, login: LoginRequest, address: str) -> Authenticated:
        if not login.password:
            raise ProtocolError(Code.UNAUTHORIZED, "must not be empty", field="password")
        canonical = canonical_id(login.id)
        self._limiter.password_allowed(canonical, address)
        account = await self._store.account(login.id)
        if account is None and self.mode == "claim":
            _check_may_create(login)
            created = await self._claim(login, address)
            if created is not None:
                return Authenticated(created, created=True)
            account = await self._store.account(login.id)
            if account is None:
                raise _taken(login)
        if login.create is True:
            raise _taken(login)
        if account is None:
            await self._passwords.verify_dummy(login.password)
        elif account.password_hash is None:
            if self.mode == "claim":
                raise ProtocolError(
                    Code.UNAUTHORIZED,
                    f"{account.id} has no password yet: the operator can set one "
                    f"(pychat user passwd {account.id})",
                    field="id",
                )
            await self._passwords.verify_dummy(login.password)
        elif await self._passwords.verify(account.password_hash, login.password):
            self._limiter.password_was_right(canonical, address)
            return Authenticated(await self._rehashed(account, login.password))
        self._limiter.password_was_wrong(canonical, address)
        raise ProtocolError(Code.UNAUTHORIZED, "wrong id or password")

    async def _claim(self, login: LoginRequest, address: str) -> Account | None:
        if len(login.password) < self._min_password:
            # The original protocol has no rule for passwords: refusing one would lock out its
            # clients.
            log.warning(
                "short password of a new account: user=%r: set a longer one with "
                "'pychat user passwd'",
                login.id,
            )
        password_hash = await self._passwords.hash(login.password)
        return await self._create(login, password_hash, address)

    async def _rehashed(self, account: Account, password: str) -> Account:
        """Hash the password again if its hash has outdated parameters."""
        if account.password_hash is None or not self._passwords.outdated(account.password_hash):
            return account
        password_hash = await self._passwords.hash(password)
        if await self._changes.rehash_password(account.key, account.password_hash, password_hash):
            return replace(account, password_hash=password_hash)
        current = await self._account(account.key)
        if not self._changes.same_password(account.password_hash, current.password_hash):
            raise _changed()
        return current

    # --- with a token ---
    async def _by_token(self, login: LoginRequest) -> Authenticated:
        refused = ProtocolError(
            Code.UNAUTHORIZED, "is no longer valid: log in with the password", field="token"
        )
        record = await self._store.login_token(token_hash(login.token))
        if record is None or record.expires_at <= now():
            raise refused
        found = await self._store.accounts([record.account])
        if not found or canonical_id(found[0].id) != canonical_id(login.id):
            raise refused
        at = now()
        if at - record.last_seen_at >= TOUCH_EVERY_MS:
            record = replace(record, last_seen_at=at, expires_at=at + TOKEN_LIFE_MS)
            await self._store.touch_login_token(record.token_hash, at, record.expires_at)
        return Authenticated(found[0], login.token, record)

    async def add_token(self, authenticated: Authenticated, device: str) -> None:
        """Create a login token, unless the login has one or accounts are open.

        The caller discards the token if the login fails, here or later.

        ``device``: how the token is listed for its owner. Raises ProtocolError 503.
        """
        if authenticated.token or self.mode == "open":
            return
        account = authenticated.account
        token = secrets.token_urlsafe(TOKEN_BYTES)
        at = now()
        record = LoginToken(
            id=secrets.token_urlsafe(9),
            account=account.key,
            token_hash=token_hash(token),
            device=device[:MAX_DEVICE_CHARACTERS],
            since=at,
            last_seen_at=at,
            expires_at=at + TOKEN_LIFE_MS,
        )
        # Before it is stored: if the store fails, it may have stored the token all the same.
        authenticated.token, authenticated.login_token = token, record
        await self._store.add_login_token(record)
        # A password change since the check may have listed the tokens to revoke before this one
        # was stored.
        current = await self._account(account.key)
        if not self._changes.same_password(current.password_hash, account.password_hash):
            raise _changed()

    async def revoke_oldest(self, account: int, in_use: Callable[[], Collection[str]]) -> set[str]:
        """Revoke the account's tokens beyond MAX_TOKENS_PER_ACCOUNT, least recently used first.

        ``in_use`` returns the ids of tokens that are connected, which are revoked last. Return the
        ids of the revoked tokens.
        """
        at = now()
        tokens = [s for s in await self._store.login_tokens(account) if s.expires_at > at]
        surplus = len(tokens) - MAX_TOKENS_PER_ACCOUNT
        if surplus <= 0:
            return set()
        connected = in_use()
        tokens.sort(key=lambda token: (token.id in connected, token.last_seen_at))
        revoked = [token.id for token in tokens[:surplus]]
        await self._changes.revoke_tokens(account, revoked)
        return set(revoked)


def _check_enabled(account: Account) -> None:
    if account.disabled:
        raise ProtocolError(Code.FORBIDDEN, "this id is disabled", field="id")


def _changed() -> ProtocolError:
    # Clients retry this automatically, and then get the current answer.
    return ProtocolError(
        Code.UNAVAILABLE, "the account was changed during the login: try again", retry_after=1.0
    )


def _check_may_create(login: LoginRequest) -> None:
    if login.create is False:
        raise ProtocolError(Code.NOT_FOUND, f"there is no account {login.id}", field="id")


def _taken(login: LoginRequest) -> ProtocolError:
    code = Code.TAKEN if login.create is True else Code.UNAUTHORIZED
    return ProtocolError(code, "is taken or looks like an existing id: choose another", field="id")


def token_hash(token: str) -> bytes:
    """SHA-256. A token has 256 random bits, so a slow hash is not needed."""
    return hashlib.sha256(token.encode()).digest()
