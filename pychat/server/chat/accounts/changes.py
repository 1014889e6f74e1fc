"""Changes of accounts, this process's own told apart from those of others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pychat.server.guard.addresses import Recent
from pychat.server.store.base import Store

MAX_REHASHES = 20_000


class AccountChanges:
    """The store's counter moves by one with each change, whoever makes it. What this process does
    itself it has dealt with already: only what others do makes it look at everybody."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._own = 0
        self._seen = 0
        self.noticed = 0
        """Moves with every change that this process has made or noticed. A login during which it
        moves may have looked at what was true before, and looks again."""
        self._rehashes: Recent[str, str] = Recent(MAX_REHASHES)
        """The older hash of a password, by the newer one."""
        # The counter and the count of one's own must be looked at together.
        self._changing = asyncio.Lock()

    async def revoke_sessions(self, account: int, ids: Sequence[str]) -> None:
        if ids:
            async with self._changing:
                await self._store.revoke_login_tokens(account, ids)
                self._own += 1
                self.noticed += 1

    async def rehash_password(self, account: int, old: str, new: str) -> bool:
        """False if the password was changed meanwhile, or rehashed by another login."""
        # Before the write: from then on somebody may read the newer one.
        self._rehashes[new] = old
        return await self._store.rehash_password(account, old, new)

    def same_password(self, one: str | None, other: str | None) -> bool:
        """Whether the hashes of an account are equal, or one is the other's rehash."""
        if one == other:
            return True
        if one is None or other is None:
            return False
        return self._rehashes.get(one) == other or self._rehashes.get(other) == one

    async def by_others(self) -> int:
        """Moves with every change that another process makes."""
        async with self._changing:
            by_others = await self._store.account_changes() - self._own
            if by_others != self._seen:
                self._seen = by_others
                self.noticed += 1
            return by_others
