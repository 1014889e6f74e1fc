"""Watches for what other processes do to accounts: disabled ids and revoked sessions go at once."""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

from pychat.server.chat.accounts.changes import AccountChanges
from pychat.server.chat.clock import now
from pychat.server.chat.events.login import Logins
from pychat.server.chat.state.entities import OnlineUser
from pychat.server.chat.state.reach import LocalDelivery
from pychat.server.chat.state.session import ChatSession
from pychat.server.store.base import Store, StoreError, StoreLost
from pychat.server.store.records import Account

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5


class _Login(NamedTuple):
    """Who was logged in on a connection when the store was asked."""

    session: ChatSession
    user: OnlineUser | None
    token_hash: bytes | None
    password_hash: str | None

    def goes_on(self) -> bool:
        session = self.session
        return (session.user, session.token_hash, session.password_hash) == self[1:]


class AccountWatch:
    """Looks at the store's change counter; when it has moved, at everybody who is online."""

    def __init__(
        self,
        store: Store,
        changes: AccountChanges,
        reach: LocalDelivery,
        logins: Logins,
    ) -> None:
        self._store = store
        self._changes = changes
        self._reach = reach
        self._logins = logins

    async def run(self) -> None:
        """Until cancelled. Raises StoreLost."""
        seen = None
        failing = ""
        while True:
            try:
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
                    log.warning("account changes cannot be seen: %s", failing)
            except Exception:
                log.exception("account changes cannot be seen")
            await asyncio.sleep(POLL_SECONDS)

    async def _review(self) -> None:
        # Logins from here on look at the store themselves, at what is newer than these answers.
        logins = [_Login(s, s.user, s.token_hash, s.password_hash) for s in self._reach.sessions]
        accounts = {a.key: a for a in await self._store.accounts(list(self._reach.users))}
        # One query for all: with one each, thousands of users would hold up the store.
        hashes = [login.token_hash for login in logins if login.token_hash is not None]
        at = now()
        records = await self._store.login_tokens_by_hash(hashes)
        valid = {record.token_hash for record in records if record.expires_at > at}
        for login in logins:
            if login.user is None or not login.goes_on():
                continue
            account = accounts[login.user.key]
            if account.disabled or not self._still_valid(login, account, valid):
                log.info("%r is logged out: disabled or revoked", account.id)
                self._logins.expel(login.session)

    def _still_valid(self, login: _Login, account: Account, tokens: set[bytes]) -> bool:
        if login.token_hash is None:
            # A client of the original protocol has no token: its password must be the same.
            return self._changes.same_password(login.password_hash, account.password_hash)
        return login.token_hash in tokens
