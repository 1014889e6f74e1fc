"""After each login, the list of conversations: what is known is set right by it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from msgspec import UNSET

from pychat import protocol
from pychat.client.errors import (
    AnswerNotUnderstood,
    ChatClientError,
    RequestRefused,
    ServerUnreachable,
)
from pychat.client.events import ClientEvent, MessagesReset
from pychat.client.state.roster import Roster
from pychat.client.state.transcripts import Logs, is_same
from pychat.client.storage.cache import Cache
from pychat.client.storage.outbox import Outbox
from pychat.client.wire import ANSWER_TIMEOUT, is_shared, message_record

logger = logging.getLogger("pychat.client")

MAX_LISTED: Final = 100_000
"""Conversations: nobody has more, and a list that has does not end."""
_RETRY_AFTER: Final = 1.0


class Sync:
    """``on_reset`` is called with the name of each conversation whose messages are others than
    those that were told, ``on_behind`` with each of one's own cursors that the server does not have
    yet."""

    def __init__(
        self,
        *,
        cache: Cache,
        roster: Roster,
        outbox: Outbox,
        logs: Logs,
        request: Callable[..., Awaitable[Any]],
        publish: Callable[[ClientEvent], None],
        on_reset: Callable[[str], None],
        on_behind: Callable[[protocol.Event, str, int], None],
    ) -> None:
        self._cache = cache
        self._roster = roster
        self._outbox = outbox
        self._logs = logs
        self._request = request
        self._publish = publish
        self._on_reset = on_reset
        self._on_behind = on_behind
        self._online = False
        self._again = False
        self._anew: set[str] = set()
        self._others: set[str] = set()
        self._refreshing: asyncio.Task[None] | None = None
        self._loaded = asyncio.Event()
        self._failure: ChatClientError | None = None

    def connected(self) -> None:
        self._online = True
        self.refresh()

    def disconnected(self) -> None:
        self._online = False
        if self._refreshing is not None:
            self._refreshing.cancel()
            self._refreshing = None

    def refresh(self) -> None:
        """Asks for the conversations anew."""
        if not self._online:
            return
        if self._refreshing is not None and not self._refreshing.done():
            self._again = True
            return
        self._refreshing = asyncio.get_running_loop().create_task(self._refresh())

    async def refreshed(self) -> None:
        """Asks anew, and returns when the list is here, or when it cannot be had now."""
        self.refresh()
        if self._refreshing is not None:
            await asyncio.wait((self._refreshing,), timeout=ANSWER_TIMEOUT)

    def overtaken(self) -> None:
        """Something has changed since a list was asked for that is still under way."""
        if self._refreshing is not None and not self._refreshing.done():
            self._again = True

    def read_anew(self, names: Iterable[str]) -> None:
        """What was told of these conversations is no longer what the server says: it is forgotten
        with the next list, ``MessagesReset`` tells so, and history is asked again."""
        self._anew.update(names)
        self.refresh()

    def renew(self, name: str) -> None:
        """The server has another conversation by this name than the one that was told."""
        self._others.add(name)
        self.refresh()

    async def _refresh(self) -> None:
        while True:
            self._again = False
            self._logs.heard.clear()
            told = self._logs.all_told()
            anew, self._anew = self._anew, set()
            others, self._others = self._others, set()
            listed = None
            try:
                listed = await self._list()
            except (RequestRefused, ServerUnreachable) as error:
                logger.info("the conversations could not be listed: %s", error)
                if isinstance(error, AnswerNotUnderstood | ServerUnreachable):
                    self._failed(error)
                wait = getattr(error, "retry_after", None) or _RETRY_AFTER
            finally:
                if listed is None:  # also where the connection went: the next one goes on with them
                    self._anew |= anew
                    self._others |= others
            if listed is None:
                await asyncio.sleep(wait)
                continue
            self._listed(listed, told, anew, others)
            if not self._again:
                return

    async def loaded(self) -> None:
        """Returns once the conversations are what the server says. Raises what it raised to be
        asked for them, where asking again would not help; it is asked again all the same."""
        await self._loaded.wait()
        if self._failure is not None:
            raise self._failure

    def _failed(self, error: ChatClientError) -> None:
        if not self._loaded.is_set():
            self._failure = error
            self._loaded.set()

    async def _list(self) -> list[protocol.ConversationPayload]:
        listed: dict[str, protocol.ConversationPayload] = {}
        cursor: str | None = None
        while True:
            before = len(listed)
            answer: protocol.ConversationsAnswer = await self._request(
                protocol.Event.CONVERSATIONS,
                protocol.ConversationsRequest(cursor=cursor, limit=protocol.MAX_LIMIT),
                protocol.ConversationsAnswer,
            )
            for each in answer.conversations:
                listed.setdefault(each.with_, each)
            if answer.next is UNSET or not answer.next:
                return list(listed.values())
            if len(listed) == before or len(listed) > MAX_LISTED:
                raise AnswerNotUnderstood("the list of conversations does not end")
            cursor = answer.next

    def _listed(
        self,
        listed: list[protocol.ConversationPayload],
        told: dict[str, int],
        anew: set[str],
        others: set[str],
    ) -> None:
        renewed = {
            each.with_ for each in listed if each.with_ in others or self._is_another(each, told)
        }
        known = {each.with_: self._roster.get(each.with_) for each in listed}
        toggled = {
            each.with_
            for each in listed
            if (record := known[each.with_]) is not None
            and record.blocked is not (each.blocked is True)
        }
        if toggled and not self._logs.whole:
            # By another device, or by a request whose answer was lost: other messages are hidden
            # now, wherever the other one writes.
            anew = anew | toggled | {each.with_ for each in listed if is_shared(each.with_)}
        reset = renewed | {each.with_ for each in listed if each.with_ in anew}
        # What was heard of while the list was made may be missing in it; a name that was typed
        # otherwise than the server writes it is not.
        ids = {protocol.canonical_id(each.with_) for each in listed}
        kept = {name for name in self._logs.heard if protocol.canonical_id(name) not in ids}
        gone = {
            name
            for name, seq in told.items()
            if seq and name not in kept and protocol.canonical_id(name) not in ids
        }
        reset |= gone
        self._others -= reset
        for name in reset:
            self._logs.forget(name, another=name in renewed or name in gone)
            self._cache.clear_messages(name)
        outbox = self._outbox.entries()
        self._roster.listed(listed, renewed=renewed, kept=kept, gone=gone, outbox=outbox)
        for name in reset:
            self._on_reset(name)
            self._publish(MessagesReset(name))
        for each in listed:
            self._logs.follow(each)
            before = known[each.with_]
            if before is not None and each.with_ not in renewed:
                # Moved while offline, perhaps by the process before this one.
                if before.read_seq > each.read_seq:
                    self._on_behind(protocol.Event.READ, each.with_, before.read_seq)
                if before.delivered_seq > each.delivered_seq:
                    self._on_behind(protocol.Event.DELIVERED, each.with_, before.delivered_seq)
        self._logs.listed()
        self._failure = None
        self._loaded.set()

    def _is_another(self, listed: protocol.ConversationPayload, told: dict[str, int]) -> bool:
        """A room made anew under its old id or joined again after messages that one may not read,
        or a server that has lost what it had.

        A message's id is that of its conversation, a hyphen and its seq.
        """
        if told.get(listed.with_, 0) > listed.last_seq:
            return True
        known = self._roster.get(listed.with_)
        heard = max(listed.last_seq, self._logs.newest_arrived(listed.with_))
        if known is not None and known.last_seq > heard:
            return True
        if 0 < told.get(listed.with_, 0) < listed.first_seq - 1:
            return True
        newest = self._cache.messages(listed.with_, limit=1)
        if not newest or listed.last is None:
            return False
        if newest[0].id.rpartition("-")[0] != listed.last.id.rpartition("-")[0]:
            return True
        last = message_record(listed.last, listed.with_, self._roster.user)
        # If it has more, the first page of them tells.
        return last.seq == newest[0].seq and not is_same(last, newest[0])
