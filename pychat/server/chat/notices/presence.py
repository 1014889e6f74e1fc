"""``presence``: notify conversation partners when users come online or go offline."""

from __future__ import annotations

import asyncio
import logging

from pychat.protocol import Event, PresencePayload
from pychat.server.chat.answers import encode
from pychat.server.chat.clock import now, rfc3339
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import OnlineUser, Pair
from pychat.server.chat.state.reach import Reach
from pychat.server.chat.views import shown_status
from pychat.server.store.base import StoreError

log = logging.getLogger(__name__)


class Presence:
    """Users do not see the presence of somebody they have blocked or who has blocked them."""

    def __init__(self, directory: Directory, reach: Reach) -> None:
        self._directory = directory
        self._reach = reach
        self._tasks: set[asyncio.Task[None]] = set()

    def came(self, user: OnlineUser) -> None:
        """The user came online: call it when the first connection logs in."""
        self._announce(user, online=True)

    def went(self, user: OnlineUser) -> None:
        """The user went offline: call it when the last connection ends. Stores the time."""
        at = now()
        self._directory.note_seen(user, at)
        self._announce(user, online=False)
        self._start_keeping(user, at)

    def profile_changed(self, user: OnlineUser) -> None:
        """The user has another alias or status."""
        if self._reach.is_online(user.key):
            self._announce(user, online=True)
            self._show(user, to=user)

    def pair_opened(self, pair: Pair) -> None:
        """Notify both accounts of each other's presence at the first message between them."""
        a, b = self._reach.user(pair.a), self._reach.user(pair.b)
        if a is None or b is None or a is b or a.key in b.blocked or b.key in a.blocked:
            return
        self._show(b, to=a)
        self._show(a, to=b)

    def hide(self, user: OnlineUser, other: OnlineUser, at: int) -> None:
        """Show both as offline to each other, because the user has just blocked the other one.

        To the other one the user has been offline since ``at``, in milliseconds since the epoch.
        """
        if other.key in user.partners and user.key not in other.blocked:
            if self._reach.is_online(other.key):
                self._hide(other, to=user)
            self._hide(user, to=other, seen=at)

    def reveal(self, user: OnlineUser, other: OnlineUser) -> None:
        """Show both to each other again, because the user has just unblocked the other one."""
        if other.key in user.partners and other is not user and user.key not in other.blocked:
            for viewer, shown in ((user, other), (other, user)):
                if self._reach.is_online(shown.key):
                    self._show(shown, to=viewer)

    async def finish(self) -> None:
        """Store the time last seen of all users who are online, before the server stops."""
        at = now()
        for account in list(self._reach.accounts()):
            user = self._reach.user(account)
            if user is not None:
                self._start_keeping(user, at)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _start_keeping(self, user: OnlineUser, at: int) -> None:
        task = asyncio.get_running_loop().create_task(self._keep(user, at))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, user: OnlineUser, at: int) -> None:
        try:
            await self._directory.keep_seen(user, at)
        except StoreError as error:
            log.warning("time last seen not stored: user=%r: %s", user.id, error)
        except Exception:
            log.exception("time last seen not stored: user=%r", user.id)

    def _announce(self, user: OnlineUser, *, online: bool) -> None:
        if user.partners:
            self._reach.notify(
                user.partners,
                Event.PRESENCE,
                _payload(user, online=online, seen=user.account.last_seen_at),
                hidden_from=user.blocked | self._reach.blockers(user.key),
            )

    def _show(self, user: OnlineUser, *, to: OnlineUser) -> None:
        self._reach.notify((to.key,), Event.PRESENCE, _payload(user, online=True, seen=None))

    def _hide(self, user: OnlineUser, *, to: OnlineUser, seen: int | None = None) -> None:
        last_seen = None if seen is None else rfc3339(seen)
        shown = PresencePayload(user.id, user.alias, online=False, last_seen=last_seen)
        self._reach.notify((to.key,), Event.PRESENCE, encode(shown))


def _payload(user: OnlineUser, *, online: bool, seen: int | None) -> bytes:
    last_seen = None if online or seen is None else rfc3339(seen)
    status, text = shown_status(user.account)
    return encode(PresencePayload(user.id, user.alias, online, last_seen, status, text))
