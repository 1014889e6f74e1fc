"""OpenConversations: the transcripts opened last, fetching of history, and the people in them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pychat.client.errors import ChatClientError, LoginRefused, RequestRefused, ServerUnreachable
from pychat.client.models import ConversationInfo, MessageInfo, UserInfo
from pychat.protocol import EVERYONE, ROOM_PREFIX
from pychat.tui.clock import Clock
from pychat.tui.log.rows import ReaderContext
from pychat.tui.log.transcript import Transcript
from pychat.tui.log.viewport import OpenTranscript, ScrollAnchor
from pychat.tui.text.names import YOU, Name, conversation_name, name_of

if TYPE_CHECKING:
    from pychat.client import ChatClient

RETRY_SECONDS: Final = 1.0
MAX_RESULTS: Final = 10
"""The server returns users whose id or alias begins with the query, the exact id first."""


class People:
    """A cache of aliases. ``on_unknown`` is called when one is missing: call ``learn`` then."""

    def __init__(self, client: ChatClient, on_unknown: Callable[[], object]) -> None:
        self._client = client
        self._on_unknown = on_unknown
        self._aliases: dict[str, str] = {}
        self._wanted: list[str] = []
        self._learning = False

    def name(self, id: str) -> Name:
        """Return the name of a user; until the alias is known, the id."""
        if id not in self._aliases:
            self._aliases[id] = ""
            self._wanted.append(id)
            self._on_unknown()
        return name_of(id, self._aliases[id])

    async def learn(self) -> bool:
        """Request all missing aliases; return True if a name has changed."""
        changed = False
        if self._learning:
            return False
        self._learning = True
        try:
            while self._wanted:
                id = self._wanted[0]
                try:
                    found = await self._client.users(id, limit=MAX_RESULTS)
                except LoginRefused:
                    raise
                except RequestRefused as refusal:
                    if refusal.retry_after is None:
                        found = []
                    else:
                        await asyncio.sleep(max(refusal.retry_after, RETRY_SECONDS))
                        continue
                self._wanted.remove(id)
                alias = next((user.alias for user in found if user.id == id), "")
                self._aliases[id] = alias
                changed = changed or (bool(alias) and alias != id)
        except ChatClientError:
            pass  # offline: requested again after the next login
        finally:
            self._learning = False
        return changed


KEPT: Final = 12
"""Number of transcripts kept in memory. The others are read from the client's cache again."""
PAGE: Final = 100
"""Messages fetched at once."""


class OpenConversations:
    """The conversations of one account, by name."""

    def __init__(self, client: ChatClient, clock: Clock, people: People) -> None:
        self._client = client
        self._clock = clock
        self._people = people
        self._opened: dict[str, OpenTranscript] = {}
        self._compact = False
        self._oldest: dict[str, int] = {}
        """Seq of the oldest message on the server, by conversation."""
        self._fetching: set[str] = set()
        self._fetching_newer: set[str] = set()
        self._started: dict[str, ConversationInfo] = {}
        """Conversations without a message, which the server does not know."""
        self.nobody: set[str] = set()
        """Ids that do not exist on the server."""

    def all(self) -> list[ConversationInfo]:
        """Return all conversations: those without a message, then the others, newest first."""
        known = self._client.conversation
        self._started = {n: c for n, c in self._started.items() if known(n) is None}
        return [*reversed(self._started.values()), *self._client.conversations]

    def get(self, name: str) -> ConversationInfo | None:
        """Return a conversation, or None if there is none of this name."""
        return self._client.conversation(name) or self._started.get(name)

    def begin(self, user: UserInfo) -> None:
        """Begin a conversation with a person; it has no message yet."""
        self.nobody.discard(user.id)
        if self._client.conversation(user.id) is None:
            self._started[user.id] = ConversationInfo(
                user.id,
                user.alias,
                online=user.online,
                status=user.status,
                status_text=user.status_text,
            )

    def is_nobody(self, name: str) -> bool:
        """Whether the server has no account with this id."""
        return name in self.nobody and self._client.conversation(name) is None

    @property
    def in_memory(self) -> list[str]:
        """Names of the conversations whose transcripts are in memory."""
        return list(self._opened)

    def opened(self, name: str) -> OpenTranscript | None:
        """Return the transcript of a conversation if it is in memory."""
        return self._opened.get(name)

    def open(self, name: str) -> OpenTranscript:
        """Return the transcript of a conversation, from memory or from the client's cache."""
        found = self._opened.pop(name, None)
        if found is None:
            reading = ReaderContext(self._clock, self.sender_name, self._compact)
            found = OpenTranscript(self._newest(name), reading)
        self._opened[name] = found
        self.follow_cursors(name)
        conversation = self.get(name)
        if conversation is not None and conversation.unread:
            found.reading.new_after = conversation.read_seq
            found.reading.skip_own(found.transcript.after_seq(conversation.read_seq))
        while len(self._opened) > KEPT:
            self._opened.pop(next(iter(self._opened)))
        return found

    def lay_out(self, *, compact: bool) -> None:
        """Choose the layout of all conversations."""
        self._compact = compact
        for opened in self._opened.values():
            opened.reading.compact = compact

    def first_unread(self, name: str) -> int:
        """Return the seq of the first unread message; 0 if all are read."""
        conversation = self.get(name)
        if conversation is None or not conversation.unread:
            return 0
        read = max(conversation.read_seq, conversation.first_seq - 1)
        opened = self._opened.get(name)
        return (read if opened is None else opened.transcript.past_own(read)) + 1

    def first_new(self, name: str) -> int:
        """Return ``first_unread``; if all are read, the first seq below the line of new messages.

        0 if there is neither.
        """
        opened, conversation = self._opened.get(name), self.get(name)
        first = self.first_unread(name)
        if first or opened is None or conversation is None or opened.reading.new_after is None:
            return first
        line = opened.reading.new_after + 1
        return line if line <= conversation.last_seq else 0

    def _newest(self, name: str) -> Transcript:
        transcript = Transcript()
        for message in self._client.cached_messages(name):
            transcript.add(message)
        return transcript

    def go_to_end(self, name: str) -> OpenTranscript | None:
        """Return ``opened`` with the newest messages loaded and scrolled to the end."""
        opened = self._opened.get(name)
        if opened is not None:
            opened.transcript, opened.place = self._newest(name), ScrollAnchor()
        return opened

    async def go_to(self, name: str, seq: int) -> OpenTranscript | None:
        """Return ``opened`` with the messages around this one loaded and scrolled to it.

        None if the message is not available now.
        """
        try:
            page = await self._client.history(name, before=seq + PAGE // 2, limit=PAGE)
            if all(
                message.seq != seq for message in page.messages
            ):  # the page held longer ones only
                page = await self._client.history(name, after=seq - 1, limit=PAGE)
        except (ServerUnreachable, RequestRefused):
            return None
        opened = self._opened.get(name)  # it may have been replaced during the await
        if opened is None or all(message.seq != seq for message in page.messages):
            return None
        opened.reading.skip_own(page.messages)
        opened.transcript = Transcript()
        # If this is not the end, scrolling down fetches the rest and finds the end.
        at_end = self._is_newest(name, page.messages[-1].seq)
        for message in [*page.messages, *(self.outbox(name) if at_end else ())]:
            opened.transcript.add(message)
        opened.transcript.reaches_end = at_end
        opened.place = ScrollAnchor(seq, at_end=False)
        return opened

    def continues(self, message: MessageInfo) -> bool:
        """Whether a message follows the loaded ones without a gap."""
        opened = self._opened.get(message.conversation)
        if opened is None or not message.seq or not opened.transcript.reaches_end:
            return True
        last = opened.transcript.last_seq
        return not last or message.seq <= last + 1

    def add(self, message: MessageInfo) -> None:
        """Add a message to a conversation that the log does not show."""
        opened = self._opened.get(message.conversation)
        if opened is not None and opened.transcript.takes(message):
            opened.reading.skip_own([message])
            opened.transcript.add(message)
            opened.let_go()

    def forget(self, name: str) -> None:
        """Evict a conversation. It is read from the client's cache when it is opened again."""
        self._opened.pop(name, None)
        self._oldest.pop(name, None)

    def follow_cursors(self, name: str) -> bool:
        """Copy the peer's cursors to the transcript; return True if they have moved."""
        found, conversation = self._opened.get(name), self.get(name)
        if found is None or conversation is None:
            return False
        reading = found.reading
        new = (conversation.peer_delivered_seq, conversation.peer_read_seq)
        if new == (reading.delivered_seq, reading.read_seq):
            return False
        reading.delivered_seq, reading.read_seq = new
        return True

    def sender_name(self, sender: str) -> Name:
        """Return the display name of a sender."""
        if sender == self._client.user:
            return Name(YOU)
        conversation = self.get(sender)
        if conversation is not None:
            return conversation_name(conversation)
        return self._people.name(sender)

    async def older(self, name: str) -> list[MessageInfo]:
        """Fetch the page before the loaded messages; empty if there is none or offline."""
        opened = self._opened.get(name)
        conversation = self.get(name)
        if opened is None or conversation is None or name in self._fetching:
            return []
        first = opened.transcript.first_seq
        oldest = self._oldest.get(name, conversation.first_seq)
        if conversation.last_seq < oldest or (first and first <= oldest):
            return []
        self._fetching.add(name)
        try:
            page = await self._client.history(name, before=first or None, limit=PAGE)
        except (ServerUnreachable, RequestRefused):
            return []  # the status line shows why; scrolling tries again
        finally:
            self._fetching.discard(name)
        if self._opened.get(name) is not opened or opened.transcript.first_seq != first:
            return await self.older(name)  # other messages are loaded now: the page does not fit
        if not page.has_more:
            self._oldest[name] = page.messages[0].seq if page.messages else first
        opened.reading.skip_own(page.messages)
        return page.messages

    async def newer(self, name: str) -> list[MessageInfo]:
        """Fetch the page after the loaded messages, if newer ones were evicted.

        The last page includes the outbox.
        """
        opened = self._opened.get(name)
        if opened is None or opened.transcript.reaches_end or name in self._fetching_newer:
            return []
        transcript = opened.transcript
        last = transcript.last_seq
        self._fetching_newer.add(name)
        try:
            page = await self._client.history(name, after=last, limit=PAGE)
        except (ServerUnreachable, RequestRefused):
            return []
        finally:
            self._fetching_newer.discard(name)
        if self._opened.get(name) is not opened or transcript is not opened.transcript:
            return []
        if transcript.last_seq != last:
            return await self.newer(name)  # more was evicted during the await
        newest = page.messages[-1].seq if page.messages else last
        transcript.reaches_end = not page.has_more and self._is_newest(name, newest)
        return [*page.messages, *(self.outbox(name) if transcript.reaches_end else ())]

    def _is_newest(self, name: str, seq: int) -> bool:
        """Whether no newer message is known."""
        conversation = self.get(name)
        cached = self._client.cached_messages(name, limit=1)
        return all(message.seq <= seq for message in cached) and (
            conversation is None or conversation.last_seq <= seq
        )

    def outbox(self, name: str) -> list[MessageInfo]:
        """Return the user's messages that the server has not stored."""
        return [each for each in self._client.cached_messages(name, limit=1) if not each.seq]


def is_pair(name: str) -> bool:
    """Whether this is the name of a conversation with one person."""
    return name != EVERYONE and not name.startswith(ROOM_PREFIX)
