"""Whom the users who are online have blocked, and whom they share a conversation with."""

from __future__ import annotations

from itertools import chain

from pychat.server.chat.state.entities import NOBODY, OnlineUser
from pychat.server.chat.state.reach import LocalDelivery
from pychat.server.store.base import Store


class Relations:
    """The one owner of ``User.blocked`` and ``User.partners``. Each change moves ``User.version``:
    a read that began before it is repeated, because what it found may have been older."""

    def __init__(self, store: Store, reach: LocalDelivery) -> None:
        self._store = store
        self._reach = reach

    async def load(self, user: OnlineUser) -> None:
        """Before a user comes online, who must do so before anything else is awaited."""
        while not user.sessions:
            version = user.version
            blocked = await self._store.blocked(user.key)
            pairs = await self._store.pairs(user.key)
            if user.version == version and not user.sessions:
                user.blocked = blocked or NOBODY
                partners = frozenset(chain(*(pair.accounts for pair in pairs))) - {user.key}
                user.partners = partners or NOBODY
                self._note_partner(user)
                return

    def _note_partner(self, user: OnlineUser) -> None:
        """Those whom the user will be announced to know it, even while the answer of the store
        that made their conversation is under way."""
        for key in user.partners:
            partner = self._reach.users.get(key)
            if partner is not None and user.key not in partner.partners:
                partner.partners |= {user.key}

    async def block(self, user: OnlineUser, other: OnlineUser, at: int) -> bool:
        """False if the other one was blocked already. ``at``: to whom it blocks, the user looks
        as if it had gone offline then."""
        async with user.changing:
            # Who is offline already was seen last before, which the store knows.
            await self._store.block(user.key, other.key, at if user.sessions else None)
            return self._set_blocked(user, user.blocked | {other.key}, other)

    async def unblock(self, user: OnlineUser, other: OnlineUser) -> bool:
        """False if the other one was not blocked."""
        async with user.changing:
            await self._store.unblock(user.key, other.key)
            return self._set_blocked(user, user.blocked - {other.key}, other)

    def met(self, user: OnlineUser, other: OnlineUser) -> None:
        """They have a one-to-one conversation."""
        if user is other:
            return
        for one, partner in ((user, other), (other, user)):
            if not one.sessions:
                one.version += 1
            elif partner.key not in one.partners:
                one.version += 1
                one.partners |= {partner.key}

    def _set_blocked(self, user: OnlineUser, blocked: frozenset[int], other: OnlineUser) -> bool:
        user.version += 1
        other.version += 1
        if not user.sessions or blocked == user.blocked:
            return False
        self._reach.set_blocked(user, blocked)
        return True
