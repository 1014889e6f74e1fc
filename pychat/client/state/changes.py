"""Fetch the changes of messages that the client has missed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from pychat import protocol
from pychat.client.errors import InvalidAnswer, RequestRefused, ServerUnreachable
from pychat.client.state.transcripts import Transcripts
from pychat.client.storage.cache import Cache
from pychat.client.wire import SendRequest, check_changes, message_info

logger = logging.getLogger("pychat.client")

CHANGES_LIMIT: Final = 1_000
"""With more missed changes than this, the messages of the conversation are dropped instead."""
_MAX_CONCURRENT_FETCHES: Final = 4
_RETRY_AFTER: Final = 1.0
"""Seconds to wait after a failed request that does not say how long."""


class ChangeSync:
    """Keeps, for each conversation, the rev up to which its messages show all changes.

    ``on_too_many`` is called with a conversation that has to start again at its newest messages.
    """

    def __init__(
        self,
        *,
        cache: Cache,
        transcripts: Transcripts,
        request: SendRequest,
        on_too_many: Callable[[str], None],
    ) -> None:
        self._cache = cache
        self._transcripts = transcripts
        self._request = request
        self._on_too_many = on_too_many
        self._revs: dict[str, int] = {}
        self._targets: dict[str, int] = {}
        """The highest rev that this connection has named, by conversation."""
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(_MAX_CONCURRENT_FETCHES)
        self._online = False

    def load(self) -> None:
        self._revs = self._cache.revs()

    def connected(self) -> None:
        self._online = True

    def disconnected(self) -> None:
        self._online = False
        self._targets.clear()
        for task in self._fetching.values():
            task.cancel()
        self._fetching.clear()

    def forget(self, name: str) -> None:
        """Forget the rev of a conversation whose messages were dropped: the list has a new one."""
        self._revs.pop(name, None)

    def arrived(self, change: protocol.Changed) -> None:
        """Apply a change from an event, and fetch those before it that were missed."""
        name = change.with_
        self._transcripts.changed(change)
        self._targets[name] = max(change.rev, self._targets.get(name, 0))
        if change.rev == self._revs.get(name, -1) + 1:
            self._reach(name, change.rev)
        self._fetch_missed(name)

    def listed(self, name: str, rev: int) -> None:
        """Fetch what was missed up to the rev that the list names, or a later one."""
        target = self._targets[name] = max(rev, self._targets.get(name, 0))
        if name not in self._revs:
            # Messages of a cache that has no revs yet may lack any change.
            self._reach(name, rev if self._transcripts.oldest_kept(name) is None else 0)
        elif self._revs[name] > target:
            self._reach(name, target)  # the server's store is an older one
        self._fetch_missed(name)

    def page_read(self, name: str, rev: int) -> None:
        """Record that messages were read from the server that show the changes up to ``rev`` only.

        Changes after it may have arrived before these messages.
        """
        if rev < self._revs.get(name, 0):
            self.missed(name, rev + 1)

    def missed(self, name: str, rev: int) -> None:
        """Fetch the change ``rev`` and later ones: a message does not show it."""
        known = self._revs.get(name, 0)
        self._targets[name] = max(rev, known, self._targets.get(name, 0))
        if rev <= known:
            self._reach(name, rev - 1)
        self._fetch_missed(name)

    def _reach(self, name: str, rev: int) -> None:
        self._revs[name] = rev
        self._cache.save_rev(name, rev)

    def _is_behind(self, name: str) -> bool:
        return name in self._revs and self._revs[name] < self._targets.get(name, 0)

    def _fetch_missed(self, name: str) -> None:
        task = self._fetching.get(name)
        if self._online and self._is_behind(name) and (task is None or task.done()):
            self._fetching[name] = asyncio.get_running_loop().create_task(self._catch_up(name))

    async def _catch_up(self, name: str) -> None:
        async with self._slots:
            while self._is_behind(name):
                try:
                    await self._fetch_page(name, self._revs[name])
                except RequestRefused as error:
                    logger.info("changes request failed: conversation=%s: %s", name, error)
                    final = error.code in (protocol.Code.FORBIDDEN, protocol.Code.NOT_FOUND)
                    if final or isinstance(error, InvalidAnswer):
                        self._targets.pop(name, None)
                        return
                    await asyncio.sleep(error.retry_after or _RETRY_AFTER)
                except ServerUnreachable as error:
                    logger.info("changes request failed: conversation=%s: %s", name, error)
                    await asyncio.sleep(_RETRY_AFTER)

    async def _fetch_page(self, name: str, rev: int) -> None:
        target = self._targets[name]
        oldest = self._transcripts.oldest_kept(name)
        if oldest is None:
            self._reach(name, target)
            return
        if target - rev > CHANGES_LIMIT:
            self._drop(name, target)
            return
        request = protocol.HistoryRequest(
            name, changed_after=rev, from_=oldest, limit=protocol.MAX_LIMIT
        )
        answer = await self._request(protocol.Event.HISTORY, request, protocol.HistoryAnswer)
        reached = check_changes(request, answer)
        if self._revs.get(name) != rev:
            return  # dropped meanwhile, or a page has shown that earlier changes are missing
        kept = self._transcripts.oldest_kept(name)
        if kept is not None and kept < oldest:
            return  # an older page was kept meanwhile, whose changes were not asked for
        for each in answer.messages:
            self._transcripts.refreshed(message_info(each, name, self._transcripts.user))
        if reached > rev:
            self._reach(name, reached)
        else:
            self._targets[name] = rev  # the server has no later change

    def _drop(self, name: str, target: int) -> None:
        if self._transcripts.fetch_all:
            # ``messages`` gives each message once: only the old texts are dropped.
            self._cache.clear_messages(name)
            self._reach(name, target)
        else:
            self.forget(name)
            self._on_too_many(name)
