"""ConversationView: one conversation at a time: header, log, completions and composer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message as TextualMessage
from textual.widgets import TextArea

from pychat.client.errors import ChatClientError
from pychat.client.models import (
    ConnectionState,
    ConversationInfo,
    DeliveryStatus,
    MessageInfo,
    UserInfo,
)
from pychat.protocol import canonical_id
from pychat.tui.clock import Clock
from pychat.tui.commands.slash import SlashCommand
from pychat.tui.log.widget import MessageLog
from pychat.tui.model.conversations import OpenConversations, is_pair
from pychat.tui.model.drafts import Drafting
from pychat.tui.model.finder import Finder
from pychat.tui.model.people import People
from pychat.tui.model.read_marks import ReadMarker
from pychat.tui.settings import Settings
from pychat.tui.text.names import Name, conversation_name, line, name_of, unread_count
from pychat.tui.widgets.below import Below
from pychat.tui.widgets.completions import Completions
from pychat.tui.widgets.composer import Composer
from pychat.tui.widgets.header import ConversationHeader
from pychat.tui.widgets.hints import Welcome
from pychat.tui.widgets.search_bar import SearchBar

if TYPE_CHECKING:
    from pychat.client import ChatClient

LEARNED_AT_ONCE: Final = 50
LEARNING_PAUSE: Final = 0.01
"""Seconds."""


class ConversationView(Vertical):
    """Shows ``current``; the screen gives it what the client tells."""

    class DraftChanged(TextualMessage):
        """The list should show it."""

    class Commanded(TextualMessage):
        """A ``/`` command was typed."""

        def __init__(self, command: SlashCommand, arguments: str) -> None:
            super().__init__()
            self.command = command
            self.arguments = arguments

    def __init__(self, client: ChatClient, clock: Clock, settings: Settings, *, id: str) -> None:
        super().__init__(id=id)
        self._people = People(client, self._name_wanted)
        self.conversations = OpenConversations(client, clock, self._people)
        self.finder = Finder()
        self.drafting = Drafting(client, self)
        self.read_marker = ReadMarker(client, self)
        self.current = ""
        self._client = client
        self._clock = clock
        self._settings = settings
        self._arrived: list[MessageInfo] = []

    def compose(self) -> ComposeResult:
        yield ConversationHeader(self._clock, id="header")
        yield SearchBar(self._client, self, id="search")
        yield Welcome(line(self._client.user), self._settings.keys, id="welcome")
        yield MessageLog(id="log")
        yield Below(self._settings.keys, id="below")
        yield Completions(id="completions")
        composer = Composer(self.drafting.submit, self.drafting.own_texts, id="composer")
        composer.cursor_blink = not self._settings.reduced_motion
        yield composer

    @property
    def log_view(self) -> MessageLog:
        return self.query_one(MessageLog)

    @property
    def composer(self) -> Composer:
        return self.query_one(Composer)

    # --- what is shown --------------------------------------------------------------------

    def open(self, name: str) -> None:
        """Shows a conversation where it was left, with its draft in the composer."""
        self.flush()
        self.drafting.save()
        if not self.current:
            self.drafting.give_waiting(name)
        self.current = name
        if is_pair(name) and self.conversations.get(name) is None:
            self.conversations.begin(UserInfo(name, "", online=False))
        self.composer.load(self._client.draft(name))
        self._show()
        self.show_header()
        if self._client.conversation(name) is None and is_pair(name):
            self._look_up(name)

    def close(self) -> None:
        """Shows none."""
        self.drafting.save()
        self.conversations.forget(self.current)
        self.current = ""
        self.drafting.load_waiting()

    @work(group="look up")
    async def _look_up(self, name: str) -> None:
        """Whom one has not written to yet: who it is, or that there is nobody."""
        try:
            found = await self._client.users(name)
        except ChatClientError:
            return  # the header says that it is not connected
        user = next((user for user in found if canonical_id(user.id) == canonical_id(name)), None)
        if user is None:
            self.conversations.nobody.add(name)
        else:
            self.conversations.begin(user)
        self.show_header()

    def _show(self) -> None:
        """The current one where it was left; where that is the end, from the first unread one on,
        which may have to be fetched."""
        opened = self.conversations.open(self.current)
        unread = self.conversations.first_unread(self.current) if opened.place.at_end else 0
        here = opened.transcript.holds(unread)
        self.log_view.open(opened, unread if here else 0)
        self.want_older()
        if unread and not here:
            self._fetch_unread(unread)

    @work(group="unread", exclusive=True)
    async def _fetch_unread(self, seq: int) -> None:
        name = self.current
        opened = await self.conversations.go_to(name, seq)
        if opened is not None and name == self.current:
            self.log_view.open(opened, self.conversations.first_unread(name) or seq)

    def came_back(self) -> None:
        """The list of a new connection is here: who followed a conversation, and missed more of it
        than there is room for, reads on where they were."""
        opened = self.conversations.opened(self.current)
        conversation = self.conversations.get(self.current)
        if opened is not None and conversation is not None and opened.follows:
            missed = conversation.last_seq - opened.transcript.last_seq
            if missed > self.log_view.size.height:
                self._show()

    def title_of(self, name: str) -> Name:
        """What a conversation is called."""
        conversation = self.conversations.get(name)
        return conversation_name(conversation) if conversation is not None else name_of(name)

    def _names(self, people: Iterable[str]) -> tuple[Name, ...]:
        return tuple(self.conversations.sender_name(person) for person in people)

    def show_header(self) -> None:
        """Presence, typing and what is unread as they are now."""
        conversation = self.conversations.get(self.current)
        title = self.title_of(self.current) if self.current else None
        self.query_one(ConversationHeader).show(
            title,
            conversation,
            self._names(conversation.typing) if conversation is not None else (),
            connected=self._client.status.state is ConnectionState.ONLINE,
            nobody=self.conversations.is_nobody(self.current),
        )
        unread = conversation.unread if conversation is not None else 0
        self.query_one(Below).unread = unread_count((unread,))
        if conversation is not None:
            invites = f"{title} is blocked" if conversation.blocked else f"Message {title}"
            self.composer.placeholder = Content(invites)  # a string would be read as markup

    # --- what the client tells ------------------------------------------------------------

    def added(self, message: MessageInfo) -> None:
        """A message arrived; shown at the next ``flush``."""
        if self.conversations.opened(message.conversation) is not None:
            self._arrived.append(message)

    def flush(self) -> int:
        """Shows what has arrived since the last time; tells how many messages that were."""
        arrived, self._arrived = self._arrived, []
        shown: list[MessageInfo] = []
        for message in arrived:
            if message.conversation == self.current:
                shown.append(message)
            elif self.conversations.continues(message):
                self.conversations.add(message)
            else:
                self.conversations.forget(message.conversation)
        if shown and not self.conversations.continues(shown[0]):
            # More came while away than the client has fetched: from here on, then.
            self.conversations.forget(self.current)
            self.log_view.open(self.conversations.open(self.current))
        elif shown:
            opened = self.conversations.opened(self.current)
            if opened is not None:
                opened.reading.skip_own(shown)
            self.log_view.append(shown)
        return len(arrived)

    def changed(self, message: MessageInfo) -> None:
        """A message has another state."""
        self.flush()
        if message.conversation == self.current:
            self.log_view.change(message)
        else:
            self.conversations.forget(message.conversation)

    def reset(self, name: str) -> None:
        """What was shown of a conversation is out of date: it is read anew."""
        self._arrived = [each for each in self._arrived if each.conversation != name]
        self.conversations.forget(name)
        self.read_marker.forget(name)
        if name == self.current:
            self._show()

    def list_loaded(self) -> None:
        """All conversations are what the server says: also the cursors of those in memory."""
        for name in self.conversations.in_memory:
            if (conversation := self.conversations.get(name)) is not None:
                self.cursors_changed(conversation)
        self.learn_to_find()

    def cursors_changed(self, conversation: ConversationInfo) -> None:
        """Somebody has received or read more."""
        moved = self.conversations.follow_cursors(conversation.name)
        if moved and conversation.name == self.current:
            self.log_view.states_changed()

    # --- names ----------------------------------------------------------------------------

    def _name_wanted(self) -> None:
        self.call_later(self.learn_names)  # whoever asks may be painting

    @work(group="names")
    async def learn_names(self) -> None:
        """Asks the server how those are called who write here."""
        if await self._people.learn():
            self.log_view.states_changed()
            self.show_header()
            self.post_message(self.DraftChanged())

    @work(group="finder", exclusive=True)
    async def learn_to_find(self) -> None:
        """Prepares all names for searching, some at a time: keys come first."""
        for number, each in enumerate(self.conversations.all()):
            self.finder.texts(each.name, each.alias)
            if number % LEARNED_AT_ONCE == LEARNED_AT_ONCE - 1:
                await asyncio.sleep(LEARNING_PAUSE)

    # --- reading --------------------------------------------------------------------------

    @on(MessageLog.OlderWanted)
    def want_older(self) -> None:
        """Fetches the page before what is here, if there is one."""
        name = self.current
        if name:
            self._fetch_older(name)

    @work(group="older")
    async def _fetch_older(self, name: str) -> None:
        messages = await self.conversations.older(name)
        if messages and name == self.current:
            self.log_view.prepend(messages)
        elif messages and (opened := self.conversations.opened(name)) is not None:
            opened.transcript.add_older(messages)
            opened.let_go()

    @on(MessageLog.NewerWanted)
    @work(group="newer")
    async def _fetch_newer(self) -> None:
        name = self.current
        messages = await self.conversations.newer(name)
        if name == self.current:
            self.log_view.append(messages)
        else:
            for message in messages:
                self.conversations.add(message)

    async def show_message(self, seq: int) -> bool:
        """Brings a message of this conversation into view, however far away it is."""
        name = self.current
        if self.log_view.scroll_to_seq(seq):
            return True
        opened = await self.conversations.go_to(name, seq)
        if opened is None or name != self.current:
            return False
        self.log_view.open(opened)
        return self.log_view.scroll_to_seq(seq)

    def go_to_end(self) -> None:
        """Shows the newest message and follows."""
        self.workers.cancel_group(self, "unread")
        opened = self.conversations.opened(self.current)
        if opened is not None and opened.transcript.reaches_end:
            self.log_view.scroll_to_end()
        else:
            self.log_view.open(self.conversations.go_to_end(self.current))

    @on(MessageLog.Viewed)
    def _viewed(self, event: MessageLog.Viewed) -> None:
        if event.opened is not self.conversations.opened(self.current):
            return  # another one is in the log by now
        self.query_one(Below).shown = not event.at_end
        self.read_marker.in_view(event.seqs)

    def on_show(self) -> None:
        """In a narrow terminal the list has hidden it."""
        self.read_marker.uncovered()

    # --- writing --------------------------------------------------------------------------

    @on(TextArea.Changed, "#composer")
    def _composer_changed(self) -> None:
        self.drafting.changed()

    def retry_failed(self) -> int:
        """Sends failed messages again; tells how many."""
        outbox = self.conversations.outbox(self.current)
        failed = [message for message in outbox if message.delivery is DeliveryStatus.FAILED]
        for message in failed:
            self._client.retry(message.client_id)
        return len(failed)
