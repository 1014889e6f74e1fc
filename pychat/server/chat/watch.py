"""Watches for what other processes do to accounts: disabled ids and revoked sessions go at once."""

from __future__ import annotations

import asyncio
import logging

from pychat.server.chat.accountchanges import AccountChanges
from pychat.server.chat.clock import now
from pychat.server.chat.directory import Directory
from pychat.server.chat.logins import Logins
from pychat.server.chat.reach import LocalDelivery
from pychat.server.chat.session import Session
from pychat.server.store.base import Store, StoreError

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5


class AccountWatch:
    """Looks at the store's change counter; when it has moved, at everybody who is online."""

    def __init__(
        self,
        store: Store,
        changes: AccountChanges,
        directory: Directory,
        reach: LocalDelivery,
        logins: Logins,
    ) -> None:
        self._store = store
        self._changes = changes
        self._directory = directory
        self._reach = reach
        self._logins = logins

    async def run(self) -> None:
        """Until cancelled."""
        seen = None
        failing = ""
        while True:
            try:
                changes = await self._changes.by_others()
                if changes != seen:
                    await self._review()
                    seen = changes
                failing = ""
            except StoreError as error:
                if str(error) != failing:
                    failing = str(error)
                    log.warning("account changes cannot be seen: %s", failing)
            except Exception:
                log.exception("account changes cannot be seen")
            await asyncio.sleep(POLL_SECONDS)

    async def _review(self) -> None:
        self._directory.forget_offline()
        accounts = {a.key: a for a in await self._store.accounts(list(self._reach.users))}
        for session in list(self._reach.sessions):
            user = session.user
            if user is None:
                continue
            account = accounts.get(user.key)
            if account is None:
                # Came online after the question; the login has looked at the store itself.
                continue
            if account.disabled or not await self._still_valid(session, account.password_hash):
                if session.user is user:
                    log.info("%r is logged out: disabled or revoked", user.id)
                    self._logins.expel(session)
            else:
                user.account = account

    async def _still_valid(self, session: Session, password_hash: str | None) -> bool:
        if session.token_hash is None:
            # A client of the original protocol has no token: its password must be the same.
            return session.password_hash == password_hash
        record = await self._store.session(session.token_hash)
        return record is not None and record.expires_at > now()
