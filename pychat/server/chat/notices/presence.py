"""``presence``: who comes and goes, told to those who share a one-to-one conversation."""

from __future__ import annotations

import asyncio
import logging

from pychat.protocol import Event
from pychat.protocol import PresencePayload as PresenceEvent
from pychat.server.chat.answers import encode
from pychat.server.chat.clock import now, rfc3339
from pychat.server.chat.connection import EncodeEvent
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import OnlineUser, Pair
from pychat.server.chat.state.reach import LocalDelivery
from pychat.server.store.base import StoreError

log = logging.getLogger(__name__)


class Presence:
    """Nobody is told of, or tells, somebody they have blocked or are blocked by."""

    def __init__(
        self, directory: Directory, reach: LocalDelivery, encode_event: EncodeEvent
    ) -> None:
        self._directory = directory
        self._reach = reach
        self._encode_event = encode_event
        self._tasks: set[asyncio.Task[None]] = set()

    def came(self, user: OnlineUser) -> None:
        """On the first connection that logs in."""
        self._announce(user, online=True)

    def went(self, user: OnlineUser) -> None:
        """With the last connection that leaves; kept in the store as the time last seen."""
        at = now()
        self._directory.note_seen(user, at)
        self._announce(user, online=False)
        task = asyncio.get_running_loop().create_task(self._keep(user, at))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def pair_opened(self, pair: Pair) -> None:
        """With the first message of a conversation both learn whether the other one is there."""
        a, b = self._reach.users.get(pair.a), self._reach.users.get(pair.b)
        if a is None or b is None or a is b or a.key in b.blocked or b.key in a.blocked:
            return
        self._reach.tell(a, self._packet(b, online=True))
        self._reach.tell(b, self._packet(a, online=True))

    def hide(self, user: OnlineUser, other: OnlineUser, at: int) -> None:
        """The user has just blocked the other one: to each the other one is offline, and to the
        other one the user has been so since ``at``."""
        if other.key in user.partners and user.key not in other.blocked:
            if other.sessions:
                self._reach.tell(user, self._packet(other, online=False))
            self._reach.tell(other, self._packet(user, online=False, seen=at))

    def show(self, user: OnlineUser, other: OnlineUser) -> None:
        """The user has just unblocked the other one."""
        if other.key in user.partners and other is not user and user.key not in other.blocked:
            for viewer, shown in ((user, other), (other, user)):
                if viewer.sessions and shown.sessions:
                    self._reach.tell(viewer, self._packet(shown, online=True))

    async def finish(self) -> None:
        """Keeps the time last seen of all who are online: the server stops."""
        at = now()
        for user in list(self._reach.users.values()):
            task = asyncio.get_running_loop().create_task(self._keep(user, at))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _keep(self, user: OnlineUser, at: int) -> None:
        try:
            await self._directory.keep_seen(user, at)
        except StoreError as error:
            log.warning("when %s was last seen could not be stored: %s", user.id, error)
        except Exception:
            log.exception("when %s was last seen could not be stored", user.id)

    def _announce(self, user: OnlineUser, *, online: bool) -> None:
        packet = None
        for key in user.partners:
            partner = self._reach.users.get(key)
            if (
                partner is None
                or partner is user
                or key in user.blocked
                or user.key in partner.blocked
            ):
                continue
            if packet is None:
                packet = self._packet(user, online=online, seen=user.account.last_seen_at)
            self._reach.tell(partner, packet)

    def _packet(self, user: OnlineUser, *, online: bool, seen: int | None = None) -> object:
        presence = PresenceEvent(
            user.id,
            user.alias,
            online,
            None if online or seen is None else rfc3339(seen),
        )
        packet: object = self._encode_event(Event.PRESENCE, encode(presence))
        return packet
