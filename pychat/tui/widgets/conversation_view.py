"""ConversationView: one conversation: header, search bar, log and writing area."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message as TextualMessage

from pychat.client.errors import ChatClientError
from pychat.client.events import (
    ChangeRefused,
    ClientEvent,
    ConversationChanged,
    ConversationsLoaded,
    MessageAdded,
    MessageChanged,
    MessagesReset,
)
from pychat.client.models import (
    ConnectionState,
    ConversationInfo,
    DeliveryStatus,
    MessageInfo,
    UserInfo,
)
from pychat.protocol import canonical_id
from pychat.tui.clock import Clock
from pychat.tui.commands.message_actions import action_hints
from pychat.tui.log.widget import MessageLog
from pychat.tui.model.conversations import OpenConversations, People, is_pair
from pychat.tui.model.finder import Finder
from pychat.tui.model.members import RoomMembers, mentionable
from pychat.tui.model.read_marks import ReadMarks
from pychat.tui.settings import Settings
from pychat.tui.text.names import Name, conversation_name, line, name_of, unread_count
from pychat.tui.widgets.composer import Composer
from pychat.tui.widgets.lines import ConversationHeader, NewestHint, Welcome
from pychat.tui.widgets.search_bar import SearchBar
from pychat.tui.widgets.transfers import FileTransfers
from pychat.tui.widgets.writing import WritingArea

if TYPE_CHECKING:
    from textual.timer import Timer
    from textual.worker import Worker

    from pychat.client import ChatClient

PREPARED_AT_ONCE: Final = 50
PREPARE_PAUSE: Final = 0.01
"""Names prepared for searching before keys get their turn, and the pause in seconds."""
RECENT: Final = 200
"""Number of messages whose senders are the first that mentions are completed with."""
READ_SECONDS: Final = 0.3
"""A message counts as read when it has been in view for this long."""


class ConversationView(Vertical):
    """Show the conversation named ``current``; an empty name is none.

    The screen passes on client events (``take``) and calls ``flush`` to show what has arrived.
    """

    class ListChanged(TextualMessage):
        """The conversation list is out of date: another conversation is open, or a name changed."""

    def __init__(self, client: ChatClient, clock: Clock, settings: Settings, *, id: str) -> None:
        super().__init__(id=id)
        self._people = People(client, self._name_wanted)
        self.conversations = OpenConversations(client, clock, self._people)
        self.finder = Finder()
        self.members = RoomMembers(client)
        self.current = ""
        self._client = client
        self._clock = clock
        self._settings = settings
        self._arrived: list[MessageInfo] = []
        self._read_marks = ReadMarks()
        self._read_timer: Timer | None = None

    def compose(self) -> ComposeResult:
        yield ConversationHeader(self._clock, id="header")
        yield SearchBar(self._client, self._show_hit, self._clear_hits, id="search")
        yield Welcome(line(self._client.user), self._settings.keys, id="welcome")
        yield MessageLog(id="log")
        yield NewestHint(self._settings.keys, id="below")
        yield FileTransfers(self._client, self._settings.downloads, id="transfers")
        yield WritingArea(
            self._client,
            self._own_texts,
            self.select_message,
            self._mentionable,
            self.conversations.sender_name,
            blink=not self._settings.reduced_motion,
            id="writing",
        )

    @property
    def log_view(self) -> MessageLog:
        return self.query_one(MessageLog)

    @property
    def writing(self) -> WritingArea:
        return self.query_one(WritingArea)

    @property
    def composer(self) -> Composer:
        return self.query_one(Composer)

    def _own_texts(self) -> list[str]:
        opened = self.conversations.opened(self.current)
        return [] if opened is None else opened.transcript.own_texts()

    def _mentionable(self, query: str) -> list[Name]:
        """Return the members of the room, or else known people, whom a mention may mean."""
        opened = self.conversations.opened(self.current)
        newest = islice(opened.transcript.newest(), RECENT) if opened is not None else ()
        recent = [message.sender for message in newest if message.sender and not message.own]
        members = self.members.known(self.current)
        if members is None:
            known = [(each.name, each.alias) for each in self.conversations.all()]
            people = [*((id, "") for id in recent), *((id, a) for id, a in known if is_pair(id))]
            self._load_members(self.current)
        else:
            people = [(each.id, each.alias) for each in members]
        return mentionable(query, recent, [each for each in people if each[0] != self._client.user])

    @work(group="members")
    async def _load_members(self, name: str) -> None:
        if await self.members.load(name) and name == self.current:
            self.composer.update_suggestion()

    # --- opening and closing --------------------------------------------------------------

    def open(self, name: str) -> None:
        """Show a conversation where it was left, with its draft in the composer."""
        self.flush()
        self._set_current(name)
        if is_pair(name) and self.conversations.get(name) is None:
            self.conversations.begin(UserInfo(name, "", online=False))
        self._show()
        self.show_header()
        if self._client.conversation(name) is None and is_pair(name):
            self._look_up(name)

    def close(self) -> None:
        """Show no conversation."""
        self.conversations.forget(self.current)
        self._set_current("")

    def _set_current(self, name: str) -> None:
        self.current = name
        self.query_one(SearchBar).conversation = name
        self.writing.open(name)

    @work(group="look up")
    async def _look_up(self, name: str) -> None:
        """Ask the server about a person without a conversation: alias, presence, or unknown."""
        try:
            found = await self._client.users(name)
        except ChatClientError:
            return  # offline; the header shows it
        user = next((user for user in found if canonical_id(user.id) == canonical_id(name)), None)
        if user is None:
            self.conversations.nobody.add(name)
        else:
            self.conversations.begin(user)
        self.show_header()

    def _show(self) -> None:
        """Show the current conversation where it was left; if that is the end, from the first
        unread message, which may have to be fetched."""
        opened = self.conversations.open(self.current)
        unread = self.conversations.first_unread(self.current) if opened.place.at_end else 0
        loaded = opened.transcript.holds(unread)
        self.log_view.open(opened, unread if loaded else 0)
        self.want_older()
        if unread and not loaded:
            self._fetch_unread(unread)

    @work(group="unread", exclusive=True)
    async def _fetch_unread(self, seq: int) -> None:
        name = self.current
        opened = await self.conversations.go_to(name, seq)
        if opened is not None and name == self.current:
            self.log_view.open(opened, self.conversations.first_unread(name) or seq)

    def title_of(self, name: str) -> Name:
        """Return the display name of a conversation."""
        conversation = self.conversations.get(name)
        return conversation_name(conversation) if conversation is not None else name_of(name)

    def _names(self, people: Iterable[str]) -> tuple[Name, ...]:
        return tuple(self.conversations.sender_name(person) for person in people)

    def show_header(self) -> None:
        """Update presence, typing and the number of unread messages."""
        conversation = self.conversations.get(self.current)
        title = self.title_of(self.current) if self.current else None
        self.query_one(ConversationHeader).show(
            title,
            conversation,
            self._names(conversation.typing) if conversation is not None else (),
            connected=self._client.status.state is ConnectionState.ONLINE,
            unknown=self.conversations.is_nobody(self.current),
        )
        unread = conversation.unread if conversation is not None else 0
        self.query_one(NewestHint).unread = unread_count((unread,))
        if conversation is not None:
            text = f"{title} is blocked" if conversation.blocked else f"Message {title}"
            self.composer.placeholder = Content(text)  # a string would be read as markup

    # --- client events --------------------------------------------------------------------

    def take(self, event: ClientEvent) -> None:
        """Handle a client event. New messages are shown at the next ``flush``."""
        if isinstance(event, MessageAdded):
            if self.conversations.opened(event.message.conversation) is not None:
                self._arrived.append(event.message)
        elif isinstance(event, MessageChanged):
            self._message_changed(event.message)
        elif isinstance(event, ChangeRefused):
            self.writing.edit_refused(event.change)
        elif isinstance(event, MessagesReset):
            self._reset(event.conversation)
        elif isinstance(event, ConversationChanged):
            self._cursors_changed(event.conversation)
        elif isinstance(event, ConversationsLoaded):
            for name in self.conversations.in_memory:
                if (conversation := self.conversations.get(name)) is not None:
                    self._cursors_changed(conversation)
            self.prepare_finder()

    def reconnected(self) -> None:
        """Handle the first conversation list of a connection.

        A user who followed the conversation and missed more than fits on the screen continues
        reading where they were.
        """
        opened = self.conversations.opened(self.current)
        conversation = self.conversations.get(self.current)
        if opened is not None and conversation is not None and opened.follows:
            missed = conversation.last_seq - opened.transcript.last_seq
            if missed > self.log_view.size.height:
                self._show()

    def flush(self) -> int:
        """Show the messages that have arrived since the last call; return their number."""
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
            # The client has not fetched everything that was missed: start from its cache again.
            self.conversations.forget(self.current)
            self.log_view.open(self.conversations.open(self.current))
        elif shown:
            opened = self.conversations.opened(self.current)
            if opened is not None:
                opened.reading.skip_own(shown)
            self.log_view.append(shown)
        return len(arrived)

    def _message_changed(self, message: MessageInfo) -> None:
        self.flush()
        self.writing.message_changed(message)
        if message.conversation == self.current:
            self.log_view.change(message)
        else:
            self.conversations.forget(message.conversation)

    def _reset(self, name: str) -> None:
        """Read a conversation from the client's cache again: what is shown is out of date."""
        self._arrived = [each for each in self._arrived if each.conversation != name]
        self.conversations.forget(name)
        self._read_marks.forget(name)
        if name == self.current:
            self._show()

    def _cursors_changed(self, conversation: ConversationInfo) -> None:
        moved = self.conversations.follow_cursors(conversation.name)
        if moved and conversation.name == self.current:
            self.log_view.states_changed()

    def _name_wanted(self) -> None:
        self.call_later(self.learn_names)  # not now: the log may be painting

    @work(group="names")
    async def learn_names(self) -> None:
        """Ask the server for the aliases of senders without a conversation."""
        if await self._people.learn():
            self.log_view.states_changed()
            self.show_header()
            self.post_message(self.ListChanged())

    @work(group="finder", exclusive=True)
    async def prepare_finder(self) -> None:
        """Prepare all names for searching, some at a time: keys come first."""
        for number, each in enumerate(self.conversations.all()):
            self.finder.texts(each.name, each.alias)
            if number % PREPARED_AT_ONCE == PREPARED_AT_ONCE - 1:
                await asyncio.sleep(PREPARE_PAUSE)

    # --- scrolling ------------------------------------------------------------------------

    @on(MessageLog.OlderWanted)
    def want_older(self) -> None:
        """Fetch the page before the loaded messages, if there is one."""
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
        """Bring a message of this conversation into view, fetched if it is not loaded."""
        name = self.current
        if self.log_view.scroll_to_seq(seq):
            return True
        opened = await self.conversations.go_to(name, seq)
        if opened is None or name != self.current:
            return False
        self.log_view.open(opened)
        return self.log_view.scroll_to_seq(seq)

    def go_to_end(self) -> None:
        """Show the newest message and follow new ones."""
        self.workers.cancel_group(self, "unread")
        opened = self.conversations.opened(self.current)
        if opened is not None and opened.transcript.reaches_end:
            self.log_view.scroll_to_end()
        else:
            self.log_view.open(self.conversations.go_to_end(self.current))

    async def _show_hit(self, message: MessageInfo, query: str) -> bool:
        if message.conversation != self.current:
            self._clear_hits()
            self.open(message.conversation)
            self.post_message(self.ListChanged())
        self._mark_hits(query, message.seq)
        return await self.show_message(message.seq)

    def _clear_hits(self) -> None:
        self._mark_hits("", 0)

    def _mark_hits(self, query: str, seq: int) -> None:
        opened = self.log_view.opened
        if opened is not None:
            opened.reading.highlight = tuple(query.casefold().split())
            opened.reading.hit = seq
            self.log_view.states_changed()

    # --- the selected message -------------------------------------------------------------

    def select_message(self) -> None:
        """Move the focus to the log and the cursor to the last message in view."""
        self.flush()
        if self.log_view.selected is not None or self.log_view.select_in_view():
            self.screen.set_focus(self.log_view)

    async def jump(self, seq: int) -> bool:
        """Show a message and move the cursor to it; False if it is not available."""
        if not await self.show_message(seq):
            return False
        opened = self.log_view.opened
        position = None if opened is None else opened.transcript.position(seq)
        if opened is not None and position is not None:
            self.log_view.select(opened.transcript.at(*position))
            self.screen.set_focus(self.log_view)
        return True

    @on(MessageLog.CursorMoved)
    def _cursor_moved(self) -> None:
        message = self.log_view.selected
        actions: tuple[str, ...] = ()
        if message is not None:
            known = self.conversations.get(message.conversation)
            owner = known is not None and known.role == "owner"
            actions = action_hints(message, self._settings.keys, may_remove=owner)
        self.query_one(NewestHint).actions = actions

    @on(MessageLog.CursorLeft)
    def _cursor_left(self) -> None:
        self.composer.focus()

    @on(MessageLog.Typed)
    def _typed_in_log(self, event: MessageLog.Typed) -> None:
        self.composer.focus()
        self.composer.write(event.text)

    # --- marking as read ------------------------------------------------------------------

    @on(MessageLog.Viewed)
    def _viewed(self, event: MessageLog.Viewed) -> None:
        if event.opened is not self.conversations.opened(self.current):
            return  # the log shows another conversation now
        self.query_one(NewestHint).shown = not event.at_end
        continues = self._read_marks.in_view(self.current, event.seqs, looking=self._looking)
        self._mark_read_soon(restart=not continues)

    def on_show(self) -> None:
        """Start the delay: in a narrow terminal the list has hidden the log until now."""
        self._mark_read_soon(restart=True)

    @property
    def _looking(self) -> bool:
        """Whether the user can see the log."""
        return self.app.app_focus and self.app.screen is self.screen and self.log_view.is_on_screen

    def _mark_read_soon(self, *, restart: bool) -> None:
        if restart:
            self._stop_read_timer()
        if self._read_timer is None:
            self._read_timer = self.set_timer(READ_SECONDS, self.mark_read)

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.stop()
            self._read_timer = None

    def mark_read(self) -> None:
        """Tell the server what was in view, without waiting for the delay."""
        self._stop_read_timer()
        conversation = self.conversations.get(self.current)
        opened = self.conversations.opened(self.current)
        if conversation is None or opened is None or not self._looking:
            return
        seq = self._read_marks.settle(conversation, opened)
        if self._read_marks.missed(conversation, opened):
            opened.reading.new_after = seq
            self.log_view.reading_changed()
        if seq > conversation.read_seq:
            send = partial(self._send_read, conversation.name, seq)
            _: Worker[None] = self.run_worker(send, group="read", exclusive=True)

    async def _send_read(self, name: str, seq: int) -> None:
        try:
            await self._client.mark_read(name, seq)
        except ChatClientError:
            return  # sent again with the next message in view, or after the next login

    def focus_lost(self) -> None:
        """The terminal lost the focus: draw the line of new messages below what is read now."""
        opened = self.conversations.opened(self.current)
        conversation = self.conversations.get(self.current)
        if opened is not None and conversation is not None and not conversation.unread:
            opened.reading.new_after = conversation.last_seq
            self.log_view.reading_changed()

    # --- writing --------------------------------------------------------------------------

    @on(FileTransfers.Posted)
    @on(WritingArea.Sent)
    def _sent(self, event: FileTransfers.Posted | WritingArea.Sent) -> None:
        if event.conversation == self.current:
            self.flush()
            self.go_to_end()

    def retry_failed(self) -> int:
        """Send failed messages again; return their number."""
        outbox = self.conversations.outbox(self.current)
        failed = [message for message in outbox if message.delivery is DeliveryStatus.FAILED]
        for message in failed:
            self._client.retry(message.client_id)
        return len(failed)
