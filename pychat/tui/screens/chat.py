"""ChatScreen: the list, the log, the composer and the status line, and who tells whom."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import TextArea

from pychat.client.errors import ChatClientError
from pychat.client.events import (
    ClientEvent,
    ConversationChanged,
    ConversationsLoaded,
    MessageAdded,
    MessageChanged,
    StatusChanged,
)
from pychat.client.models import ConnectionState, Conversation, Delivery, Message, User
from pychat.tui.clock import Clock
from pychat.tui.conversations import Conversations, is_pair
from pychat.tui.items import items_of
from pychat.tui.keys import bindings, shortest
from pychat.tui.log.widget import MessageLog
from pychat.tui.names import conversation_title, line, title, typing_line
from pychat.tui.settings import Settings
from pychat.tui.widgets.composer import Composer
from pychat.tui.widgets.conversation_list import ConversationList
from pychat.tui.widgets.header import ConversationHeader
from pychat.tui.widgets.status_line import StatusLine
from pychat.tui.widgets.welcome import Welcome

if TYPE_CHECKING:
    from pychat.client import ChatClient

FLUSH_SECONDS = 1 / 30
"""What arrives within a frame is shown together."""
READ_SECONDS = 0.3
DRAFT_SECONDS = 0.5


class ChatScreen(Screen[None]):
    """Everything about one account."""

    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - Screen declares it as an instance variable
        (0, "-narrow"),
        (64, "-normal"),
        (120, "-wide"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = bindings("chat")

    def __init__(self, client: ChatClient, clock: Clock, settings: Settings) -> None:
        super().__init__()
        self.client = client
        self.conversations = Conversations(client, clock)
        self.current = ""
        self._clock = clock
        self._settings = settings
        self._arrived: list[Message] = []
        self._dirty = False
        self._flush_scheduled = False
        self._draft_scheduled = False
        self._seen_seq = 0

    # --- made of --------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        rebound = self._settings.keys
        with Horizontal(id="body"):
            yield ConversationList(id="list")
            with Vertical(id="main"):
                yield ConversationHeader(id="header")
                yield Welcome(line(self.client.user), rebound, id="welcome")
                yield MessageLog(id="log")
                yield Composer(self._submit, id="composer")
        status = StatusLine(self._clock, id="status")
        status.user = line(self.client.user)
        status.hints = f"{shortest('switch', rebound)} find  {shortest('help', rebound)} help"
        yield status

    @property
    def log_view(self) -> MessageLog:
        return self.query_one(MessageLog)

    @property
    def composer(self) -> Composer:
        return self.query_one(Composer)

    def on_mount(self) -> None:
        self.composer.cursor_blink = not self._settings.reduced_motion
        self.set_class(True, "-nothing-open")
        self.query_one(StatusLine).status = self.client.status
        self._show_list()
        self.query_one(ConversationList).focus()

    # --- what the client tells ------------------------------------------------------------

    def client_event(self, event: ClientEvent) -> None:
        """Takes in one event; what it changes on the screen is shown within a frame."""
        if isinstance(event, MessageAdded):
            if self.conversations.opened(event.message.conversation) is not None:
                self._arrived.append(event.message)
        elif isinstance(event, MessageChanged):
            self._flush_messages()
            self._message_changed(event.message)
        elif isinstance(event, StatusChanged):
            self.query_one(StatusLine).status = event.status
            if event.status.state is ConnectionState.ONLINE:
                self._want_older()
        elif isinstance(event, ConversationChanged):
            self._conversation_changed(event.conversation)
        elif isinstance(event, ConversationsLoaded):
            for conversation in event.conversations:
                self._conversation_changed(conversation)
            self._want_older()
        self._dirty = True
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self.set_timer(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        self._flush_messages()
        if self._dirty:
            self._dirty = False
            self._show_list()
            self._show_header()

    def _flush_messages(self) -> None:
        arrived, self._arrived = self._arrived, []
        shown = [message for message in arrived if message.conversation == self.current]
        for message in arrived:
            if message.conversation != self.current:
                opened = self.conversations.opened(message.conversation)
                if opened is not None:
                    opened.transcript.add(message)
        if shown:
            self.log_view.append(shown)

    def _message_changed(self, message: Message) -> None:
        if message.conversation == self.current:
            self.log_view.change(message)
        else:
            self.conversations.forget(message.conversation)

    def _conversation_changed(self, conversation: Conversation) -> None:
        moved = self.conversations.follow_cursors(conversation.name)
        if moved and conversation.name == self.current:
            self.log_view.states_changed()

    # --- what is shown --------------------------------------------------------------------

    def _show_list(self) -> None:
        items = items_of(
            self.conversations.all(), self.client, self._clock, self._settings.muted, self.current
        )
        self.query_one(ConversationList).show(items, self.current)
        self.query_one(StatusLine).unread_elsewhere = sum(
            item.unread for item in items if item.name != self.current and not item.muted
        )

    def _show_header(self) -> None:
        header = self.query_one(ConversationHeader)
        conversation = self.conversations.get(self.current)
        if conversation is None:
            header.title = title(self.current)
            return
        pair = is_pair(self.current)
        header.title = conversation_title(conversation)
        header.online = conversation.online if pair else None
        header.typing = typing_line(conversation.typing, in_pair=pair)
        header.detail = self._detail(conversation, pair)

    def _detail(self, conversation: Conversation, pair: bool) -> str:
        if not pair:
            return "everyone on this server" if self.current == "ALL" else "room"
        if conversation.online:
            return "online"
        if conversation.last_seen is not None:
            return f"last seen {self._clock.since(conversation.last_seen)}"
        return "offline"

    def open(self, name: str) -> None:
        """Shows a conversation, with its draft in the composer."""
        if name == self.current:
            self._narrow_to_log()
            return
        self._flush_messages()
        self._save_draft()
        self.current = name
        self._seen_seq = 0
        self.set_class(False, "-nothing-open")
        opened = self.conversations.open(name)
        self.composer.load(self.client.draft(name))
        self.composer.placeholder = f"Message {self._title_of(name)}"
        self.log_view.open(opened)
        self._show_list()
        self._show_header()
        self._narrow_to_log()
        self._want_older()

    def _title_of(self, name: str) -> str:
        conversation = self.conversations.get(name)
        return conversation_title(conversation) if conversation is not None else title(name)

    def start(self, user: User) -> None:
        """Opens a conversation with somebody, which may have no message yet."""
        self.conversations.begin(user)
        self.open(user.id)

    def _narrow_to_log(self) -> None:
        self.remove_class("-list-shown")
        self.composer.focus()

    # --- reading --------------------------------------------------------------------------

    @on(MessageLog.OlderWanted)
    def _want_older(self) -> None:
        if self.current:
            self.run_worker(partial(self._fetch_older, self.current), group="older")

    async def _fetch_older(self, name: str) -> None:
        messages = await self.conversations.older(name)
        if messages and name == self.current:
            self.log_view.prepend(messages)
        elif messages:
            opened = self.conversations.opened(name)
            if opened is not None:
                opened.transcript.add_older(messages)

    @on(MessageLog.Viewed)
    def _viewed(self, event: MessageLog.Viewed) -> None:
        self._seen_seq = event.last_seq
        self.set_timer(READ_SECONDS, self.mark_read)

    def mark_read(self) -> None:
        """Tells the server what was in view of somebody who is looking."""
        conversation = self.conversations.get(self.current)
        if conversation is None or not self.app.app_focus or self.app.screen is not self:
            return
        seq = min(self._seen_seq, conversation.last_seq)
        if seq > conversation.read_seq:
            mark = partial(self._mark_read, self.current, seq)
            self.run_worker(mark, group="read", exclusive=True)

    async def _mark_read(self, name: str, seq: int) -> None:
        try:
            await self.client.mark_read(name, seq)
        except ChatClientError:
            return  # the next message in view, or the next connection, tries again

    # --- writing --------------------------------------------------------------------------

    def _submit(self, text: str) -> bool:
        if not self.current:
            return False
        try:
            self.client.post(self.current, text)
        except ChatClientError as error:
            self.app.notify(line(str(error), 300), severity="warning", markup=False)
            return False
        self.client.set_draft(self.current, "")
        self.client.typing(self.current, False)
        self._flush_messages()
        self._show_list()
        self.log_view.scroll_to_end()
        return True

    @on(TextArea.Changed, "#composer")
    def _composer_changed(self) -> None:
        if not self.current:
            return
        text = self.composer.text
        if self.composer.has_focus and text != self.client.draft(self.current):
            self.client.typing(self.current, bool(text.strip()))
        if not self._draft_scheduled:
            self._draft_scheduled = True
            self.set_timer(DRAFT_SECONDS, self._save_draft)

    def _save_draft(self) -> None:
        self._draft_scheduled = False
        if self.current and self.client.draft(self.current) != self.composer.text:
            self.client.set_draft(self.current, self.composer.text)
            self._show_list()

    # --- moving around --------------------------------------------------------------------

    @on(ConversationList.Opened)
    def _list_opened(self, event: ConversationList.Opened) -> None:
        self.open(event.name)

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self.composer.place_terminal_cursor)

    def action_switch(self) -> None:
        from pychat.tui.screens.switcher import Switcher

        self.app.push_screen(Switcher(self.client, self.conversations.all()), self._switched)

    def _switched(self, user: User | None) -> None:
        if user is not None:
            self.start(user) if is_pair(user.id) else self.open(user.id)

    def action_next_conversation(self) -> None:
        self._step(1)

    def action_previous_conversation(self) -> None:
        self._step(-1)

    def _step(self, by: int) -> None:
        names = self.query_one(ConversationList).names
        if names:
            index = names.index(self.current) + by if self.current in names else 0
            self.open(names[index % len(names)])

    def action_next_unread(self) -> None:
        name = self.query_one(ConversationList).first_unread(self.current)
        if name:
            self.open(name)

    def action_toggle_list(self) -> None:
        if self.has_class("-narrow"):
            self.toggle_class("-list-shown")
            shown = self.has_class("-list-shown")
        else:
            self.toggle_class("-list-hidden")
            shown = not self.has_class("-list-hidden")
        (self.query_one(ConversationList) if shown else self.composer).focus()

    def action_back(self) -> None:
        if self.log_view.text_selection is not None:
            self.clear_selection()
        elif self.has_class("-narrow") and not self.has_class("-list-shown"):
            self.action_toggle_list()
        elif self.current:
            self._narrow_to_log()

    def action_page_up(self) -> None:
        self.log_view.scroll_page_up(animate=False)

    def action_page_down(self) -> None:
        self.log_view.scroll_page_down(animate=False)

    def action_log_home(self) -> None:
        self.log_view.scroll_home(animate=False)

    def action_log_end(self) -> None:
        self.log_view.scroll_to_end()

    def action_copy(self) -> None:
        text = self.get_selected_text() or self.composer.selected_text
        if text:
            self.app.copy_to_clipboard(text)
            self.clear_selection()

    def action_retry(self) -> None:
        opened = self.conversations.opened(self.current)
        for message in list(opened.transcript.pending) if opened is not None else []:
            if message.delivery is Delivery.FAILED:
                self.client.retry(message.client_id)
