"""Changes of accounts and logins: those of this process, and those of other processes."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from pychat.server.chat.clock import now
from pychat.server.chat.state.entities import OnlineUser
from pychat.server.chat.state.reach import Reach
from pychat.server.chat.state.session import ChatSession
from pychat.server.guard.addresses import Recent
from pychat.server.store.base import Store, StoreError, StoreLost
from pychat.server.store.records import Account

log = logging.getLogger(__name__)

MAX_REHASHES = 20_000
MAX_DISCARDED = 1_000
POLL_SECONDS = 0.5


class AccountChanges:
    """Tell this process's changes apart from those of other processes.

    The store counts all changes. This process has already applied its own, so it needs to review
    the users who are online only after changes by others.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._own = 0
        self._seen = 0
        self.noticed = 0
        """Incremented with every change that this process makes or notices. If it changes during a
        login, the login may have read what is out of date, and must read it again."""
        self._rehashes: Recent[str, str] = Recent(MAX_REHASHES)
        """The older hash of a password, by the newer one."""
        self._discarded: deque[tuple[int, str]] = deque(maxlen=MAX_DISCARDED)
        """Account and id of login tokens that no client has, and that are still stored."""
        # The store's counter and ``_own`` must be read together.
        self._changing = asyncio.Lock()

    async def revoke_tokens(self, account: int, ids: Sequence[str]) -> None:
        """Revoke login tokens by id. Raises StoreError."""
        if ids:
            async with self._changing:
                await self._store.revoke_login_tokens(account, ids)
                self._own += 1
                self.noticed += 1

    async def discard_token(self, account: int, id: str) -> None:
        """Revoke a login token that no client has. If the store fails, it is revoked later."""
        try:
            await self.revoke_tokens(account, [id])
        except StoreError as error:
            log.warning("unused login token not revoked yet: account=%d: %s", account, error)
            self._discarded.append((account, id))

    async def revoke_discarded(self) -> None:
        """Revoke the discarded tokens that are left. Raises StoreError."""
        for _ in range(len(self._discarded)):
            account, id = self._discarded[0]
            await self.revoke_tokens(account, [id])
            self._discarded.popleft()

    @asynccontextmanager
    async def none_noticed(self) -> AsyncIterator[None]:
        """Keep ``noticed`` from changing meanwhile. Do not revoke tokens in the context."""
        async with self._changing:
            yield

    async def rehash_password(self, account: int, old: str, new: str) -> bool:
        """Replace a password's hash by a newer hash of the same password.

        Return False if the hash is no longer ``old``. Raises StoreError.
        """
        # Noted before the write, because others may read the new hash right after it.
        self._rehashes[new] = old
        return await self._store.rehash_password(account, old, new)

    async def replace_password(self, account: int, old: str, new: str) -> bool:
        """Replace a password's hash by that of another password. Logins that are being checked are
        checked again.

        Return False if the hash is no longer ``old``. Raises StoreError, after which the password
        may have been replaced.
        """
        async with self._changing:
            try:
                return await self._store.rehash_password(account, old, new)
            finally:
                self.noticed += 1

    def same_password(self, one: str | None, other: str | None) -> bool:
        """Whether two hashes of an account are of the same password, as far as is known."""
        if one == other:
            return True
        if one is None or other is None:
            return False
        return self._rehashes.get(one) == other or self._rehashes.get(other) == one

    async def by_others(self) -> int:
        """Return the number of changes made by other processes. Raises StoreError."""
        async with self._changing:
            by_others = await self._store.account_changes() - self._own
            if by_others != self._seen:
                self._seen = by_others
                self.noticed += 1
            return by_others


class _Login(NamedTuple):
    """Who was logged in on a connection when the store was asked."""

    session: ChatSession
    user: OnlineUser | None
    token_hash: bytes | None
    password_hash: str | None

    def is_current(self) -> bool:
        session = self.session
        return (session.user, session.token_hash, session.password_hash) == self[1:]


class AccountWatch:
    """Log out users whom another process has disabled, or whose logins it has revoked.

    The store's counter is polled. When it has moved, everybody who is online is checked.
    """

    def __init__(
        self,
        store: Store,
        changes: AccountChanges,
        reach: Reach,
        expel: Callable[[ChatSession], None],
    ) -> None:
        """``expel`` logs out and disconnects."""
        self._store = store
        self._changes = changes
        self._reach = reach
        self._expel = expel

    async def run(self) -> None:
        """Poll until cancelled. Raises StoreLost."""
        seen = None
        failing = ""
        while True:
            try:
                await self._changes.revoke_discarded()
                changes = await self._changes.by_others()
                if changes != seen:
                    await self._review()
                    seen = changes
                failing = ""
            except StoreLost:
                raise
            except StoreError as error:
                if str(error) != failing:
                    failing = str(error)
                    log.warning("account changes cannot be read: %s", failing)
            except Exception:
                log.exception("account changes cannot be read")
            await asyncio.sleep(POLL_SECONDS)

    async def _review(self) -> None:
        # A login that begins now reads the store itself, and gets newer answers than these.
        logins = [
            _Login(s, s.user, s.token_hash, s.password_hash) for s in self._reach.connections()
        ]
        accounts = {a.key: a for a in await self._store.accounts(list(self._reach.accounts()))}
        # One query for all tokens: one for each of thousands would block the store.
        hashes = [login.token_hash for login in logins if login.token_hash is not None]
        at = now()
        records = await self._store.login_tokens_by_hash(hashes)
        valid = {record.token_hash for record in records if record.expires_at > at}
        for login in logins:
            if login.user is None or not login.is_current():
                continue
            account = accounts[login.user.key]
            if account.disabled or not self._is_valid(login, account, valid):
                log.info("user logged out, disabled or revoked: user=%r", account.id)
                self._expel(login.session)

    def _is_valid(self, login: _Login, account: Account, tokens: set[bytes]) -> bool:
        if login.token_hash is None:
            # Original clients have no token: their password must still be the same.
            return self._changes.same_password(login.password_hash, account.password_hash)
        return login.token_hash in tokens
