"""Blocks and conversation partners of the users who are online."""

from __future__ import annotations

from itertools import chain

from pychat.server.chat.state.entities import NO_ACCOUNTS, OnlineUser
from pychat.server.chat.state.reach import Reach
from pychat.server.chat.state.rereads import rereads
from pychat.server.store.base import Store, StoreError


class Relations:
    """The owner of ``OnlineUser.blocked`` and ``OnlineUser.partners``.

    Each change increments ``OnlineUser.version``. A read that began before a change is repeated,
    because its result may be out of date.
    """

    def __init__(self, store: Store, reach: Reach) -> None:
        self._store = store
        self._reach = reach

    async def load(self, user: OnlineUser) -> None:
        """Read the blocks and partners of a user who is about to come online.

        The caller must not await anything between this and ``Reach.join``. Raises ProtocolError 503
        if the changes do not end, and StoreError.
        """
        for _ in rereads():
            if self._reach.is_online(user.key):
                return
            version = user.version
            blocked = await self._store.blocked(user.key)
            pairs = await self._store.pairs(user.key)
            if user.version == version and not self._reach.is_online(user.key):
                user.blocked = blocked or NO_ACCOUNTS
                partners = frozenset(chain(*(pair.accounts for pair in pairs))) - {user.key}
                user.partners = partners or NO_ACCOUNTS
                self._add_to_partners(user)
                return

    def _add_to_partners(self, user: OnlineUser) -> None:
        """Make the user a partner of all its partners, who will be notified of its presence.

        A partner may not know it yet: the store's answer that created their conversation may still
        be on its way.
        """
        for key in user.partners:
            partner = self._reach.user(key)
            if partner is not None and user.key not in partner.partners:
                partner.partners |= {user.key}

    async def block(self, user: OnlineUser, other: OnlineUser, at: int) -> bool:
        """Block an account. Return False if it was blocked already.

        ``at``: when the user appears to have gone offline to the blocked account, in milliseconds
        since the epoch. Raises StoreError.
        """
        async with user.changing:
            # The store knows when a user who is offline was last seen.
            online = self._reach.is_online(user.key)
            try:
                await self._store.block(user.key, other.key, at if online else None)
            except StoreError:
                if not await self._is_stored(user, other):
                    raise
            return self._set_blocked(user, user.blocked | {other.key}, other)

    async def unblock(self, user: OnlineUser, other: OnlineUser) -> bool:
        """Unblock an account. Return False if it was not blocked. Raises StoreError."""
        async with user.changing:
            try:
                await self._store.unblock(user.key, other.key)
            except StoreError:
                if await self._is_stored(user, other):
                    raise
            return self._set_blocked(user, user.blocked - {other.key}, other)

    async def _is_stored(self, user: OnlineUser, other: OnlineUser) -> bool:
        """Whether the store has the block. A failed write may have changed it or not."""
        return other.key in await self._store.blocked(user.key)

    def met(self, user: OnlineUser, other: OnlineUser) -> None:
        """Note that two users have a one-to-one conversation."""
        if user is other:
            return
        for one, partner in ((user, other), (other, user)):
            if not self._reach.is_online(one.key):
                one.version += 1
            elif partner.key not in one.partners:
                one.version += 1
                one.partners |= {partner.key}

    def _set_blocked(self, user: OnlineUser, blocked: frozenset[int], other: OnlineUser) -> bool:
        user.version += 1
        other.version += 1
        if not self._reach.is_online(user.key):
            # What they asked for before they left is still handled, and must respect the block.
            user.blocked = blocked
            return False
        if blocked == user.blocked:
            return False
        self._reach.set_blocked(user, blocked)
        return True
