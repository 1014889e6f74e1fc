"""ChatScreen: conversation list, open conversation and status line of one account."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Final

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.geometry import Offset
from textual.screen import Screen

from pychat.client.events import (
    ClientEvent,
    ConversationsLoaded,
    ProfileChanged,
    StatusChanged,
)
from pychat.client.models import (
    ConnectionState,
    ConversationInfo,
    MemberInfo,
    MessageInfo,
    UserInfo,
)
from pychat.protocol import ROOM_PREFIX, NotifyLevel
from pychat.tui.clock import Clock
from pychat.tui.commands.keys import bindings, shortest
from pychat.tui.commands.runner import CommandRunner
from pychat.tui.commands.slash import (
    CommandRequested,
    ConversationRequested,
    PersonRequested,
)
from pychat.tui.log.widget import MessageLog
from pychat.tui.model.conversations import OpenConversations, is_pair
from pychat.tui.model.notify import NotifyChoices
from pychat.tui.model.saved_state import Layout, SavedState
from pychat.tui.screens.message.actions import MessageActions
from pychat.tui.settings import Settings
from pychat.tui.text.names import line, status_line, unread_count
from pychat.tui.widgets.conversation_list import (
    ConversationItem,
    ConversationList,
    in_order,
    item_of,
)
from pychat.tui.widgets.conversation_view import ConversationView
from pychat.tui.widgets.lines import StatusLine
from pychat.tui.widgets.member_list import MemberList
from pychat.tui.widgets.purpose import Purpose
from pychat.tui.widgets.search_bar import SearchBar
from pychat.tui.widgets.transfers import FileTransfers
from pychat.tui.widgets.writing import WritingArea

if TYPE_CHECKING:
    from pychat.client import ChatClient

HINT_SECONDS: Final = 6.0
MEMBERS_SECONDS: Final = 60.0
"""Time between two requests for the members of the open room: the server announces no changes."""
FLUSH_SECONDS: Final = 1 / 30
"""Client events that arrive within a frame are shown together."""
BURST: Final = 20
BURST_FLUSH_SECONDS: Final = 1 / 8
"""The frame after more than ``BURST`` messages: keys are more urgent than painting them."""


class ChatScreen(Screen[None]):
    """The main screen. The app passes on client events (``take``); commands act on the methods."""

    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - Screen declares it as an instance variable
        (0, "-narrow"),
        (64, "-normal"),
        (120, "-wide"),
        (140, "-widest"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = bindings("chat")

    def __init__(
        self, client: ChatClient, clock: Clock, settings: Settings, saved: SavedState
    ) -> None:
        super().__init__(classes="-nothing-open")
        self.clock = clock
        self.settings = settings
        self._hint_shown = False
        self._changing = False
        self._dirty = False
        self._flush_scheduled = False
        self._in_burst = False
        self._reconnected = False
        """Whether the next conversation list is the first one of a connection."""
        self.message_actions = MessageActions(self)
        self._commands = CommandRunner(self)
        self._set_account(client, saved)

    def _set_account(self, client: ChatClient, saved: SavedState) -> None:
        self.client = client
        self.saved = saved
        self.notify_choices = NotifyChoices(client, self.settings.muted)
        self.view = ConversationView(client, self.clock, self.settings, id="main")

    async def change_account(self, client: ChatClient, saved: SavedState) -> None:
        """Replace all widgets by new ones for another account."""
        self.view.writing.save()
        self._changing = True
        self._set_account(client, saved)
        self.remove_class("-list-shown", "-list-hidden")
        await self.recompose()
        self._changing = False
        self._begin()

    def compose(self) -> ComposeResult:
        rebound = self.settings.keys
        with Horizontal(id="body"):
            yield ConversationList(self._list_item, id="list")
            yield self.view
            members = MemberList(lambda: self.client.user, id="members")
            members.can_focus = False
            yield members
        status = StatusLine(self.clock, id="status")
        status.user = self._own_line()
        status.hints = f"{shortest('switch', rebound)} new chat  {shortest('help', rebound)} help"
        yield status

    def on_mount(self) -> None:
        self._begin()
        self.set_interval(MEMBERS_SECONDS, self.show_members)

    def _begin(self) -> None:
        self.query_one(StatusLine).status = self.client.status
        self.add_class("-nothing-open")
        self._lay_out()
        self._show_waiting_text()
        self.show_list()
        self.view.prepare_finder()
        self.query_one(ConversationList).focus()

    @property
    def is_usable(self) -> bool:
        """Whether the widgets exist: not while the account changes, nor when the app ends."""
        return not self._changing and self.app.is_running

    # --- client events --------------------------------------------------------------------

    def take(self, event: ClientEvent) -> None:
        """Handle a client event. What it changes is shown within a frame."""
        if not self.is_mounted or not self.is_usable:
            return  # mounting shows what the client knows by then
        self.view.take(event)
        if isinstance(event, StatusChanged):
            self.query_one(StatusLine).status = event.status
            self.query_one(StatusLine).user = self._own_line()
            if event.status.state is ConnectionState.ONLINE:
                self._reconnected = True
                self.view.want_older()
        elif isinstance(event, ProfileChanged):
            self.query_one(StatusLine).user = self._own_line()
        elif isinstance(event, ConversationsLoaded):
            if self._reconnected:
                self._reconnected = False
                self.view.reconnected()
                self._move_mutes()
            self.view.want_older()
            self.view.learn_names()
            self._close_room_that_is_gone()
            self.show_members()
        self._dirty = True
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self.set_timer(BURST_FLUSH_SECONDS if self._in_burst else FLUSH_SECONDS, self._flush)

    def _close_room_that_is_gone(self) -> None:
        room = self.current
        if room.startswith(ROOM_PREFIX) and self.client.conversation(room) is None:
            self.close_conversation()
            self.inform(f"You are no longer in {line(room)}")

    def _own_line(self) -> str:
        own = self.client.profile
        status = status_line(own.status, own.status_text)
        return " · ".join(filter(None, (line(own.id), status)))

    def _flush(self) -> None:
        self._flush_scheduled = False
        if not self.is_usable:
            return
        self._in_burst = self.view.flush() > BURST
        if self._dirty:
            self._dirty = False
            self.show_list()
            self.view.show_header()

    @on(ConversationView.ListChanged)
    @on(WritingArea.DraftChanged)
    def show_list(self) -> None:
        """Update the conversation list and the number of unread messages."""
        if not self.is_usable:
            return
        conversations = self.conversations.all()
        unread = self._unread(conversations)
        self.query_one(ConversationList).show(
            in_order(conversations, unread, self.current), self.current
        )
        count = unread_count(map(self.notify_choices.unread, unread))
        self.query_one(StatusLine).unread = count
        self.app.title = f"({count}) pychat" if count else "pychat"

    def _unread(self, conversations: Iterable[ConversationInfo]) -> list[ConversationInfo]:
        """Return those with unread messages that notify."""
        return [each for each in conversations if self.notify_choices.unread(each)]

    def _list_item(self, name: str) -> ConversationItem | None:
        conversation = self.conversations.get(name)
        if conversation is None:
            return None
        return item_of(
            conversation,
            self.client,
            self.clock,
            self.notify_choices.level(conversation),
            self.current,
            self.conversations.sender_name,
        )

    # --- what commands act on (CommandTarget) ---------------------------------------------

    @on(CommandRequested)
    @work(group="commands")
    async def _command_requested(self, event: CommandRequested) -> None:
        await self._commands.run(event.command, event.arguments)

    @property
    def current(self) -> str:
        """Name of the open conversation; empty if none is open."""
        return self.view.current

    @property
    def conversations(self) -> OpenConversations:
        return self.view.conversations

    def open(self, name: str) -> None:
        """Show a conversation with the focus in its composer."""
        if name != self.current:
            self.close_search()
            self.view.open(name)
            self.show_members()
            self.remove_class("-nothing-open", "-waiting")
            self.show_list()
        self.remove_class("-list-shown")
        self.view.composer.focus()

    def start(self, user: UserInfo) -> None:
        """Open the conversation with a person; it may have no message yet."""
        self.conversations.begin(user)
        self.open(user.id)

    def close_conversation(self) -> None:
        """Show the welcome text, as at the start."""
        self.close_search()
        self.view.close()
        self.show_members()
        self.add_class("-nothing-open")
        self.show_list()
        self.query_one(ConversationList).focus()

    def send(self, text: str) -> bool:
        """Send a message to the open conversation. False, with the reason shown, if refused."""
        return self.view.writing.send(text)

    def go_to_end(self) -> None:
        """Show the newest message."""
        self.view.go_to_end()

    def retry_failed(self) -> int:
        """Send failed messages again; return their number."""
        return self.view.retry_failed()

    def search(self, text: str, *, everywhere: bool = False) -> None:
        """Open the search bar above the log, or focus it."""
        if self.current:
            self.query_one(SearchBar).open(text, everywhere=everywhere)

    def copy(self, text: str) -> None:
        """Put a text on the clipboard."""
        self.app.copy_to_clipboard(text)

    def inform(self, text: str) -> None:
        """Show a line for a few seconds."""
        self.notify(line(text, 300), markup=False)

    # --- opening conversations ------------------------------------------------------------

    @on(ConversationRequested)
    def _conversation_requested(self, event: ConversationRequested) -> None:
        self.open(event.name)

    @on(PersonRequested)
    def _person_requested(self, event: PersonRequested) -> None:
        self.start(event.user)

    @on(ConversationList.Opened)
    def _list_opened(self, event: ConversationList.Opened) -> None:
        self.open(event.name)

    @on(ConversationList.Typed)
    def _typed_in_list(self, event: ConversationList.Typed) -> None:
        """Text typed in the list begins a message: in the open conversation, or the next one."""
        if self.current:
            self.open(self.current)
        if event.text:
            self.view.composer.write(event.text)
            self._show_waiting_text()
        if not self.current and not self._hint_shown:
            self._hint_shown = True
            self.set_timer(HINT_SECONDS, self._allow_hint)
            key = shortest("switch", self.settings.keys)
            purpose = "to send this" if event.text else "to start"
            self.notify(
                f"Choose a chat {purpose}: {key}, or ↓ and Enter in the list",
                timeout=HINT_SECONDS,
                markup=False,
            )

    @on(ConversationList.Erased)
    def _erased_in_list(self) -> None:
        if not self.current:
            self.view.composer.action_delete_left()
            self._show_waiting_text()

    def _show_waiting_text(self) -> None:
        """Show the composer while it holds text for the next conversation that is opened."""
        self.set_class(not self.current and bool(self.view.composer.text), "-waiting")

    def _allow_hint(self) -> None:
        self._hint_shown = False

    def action_switch(self) -> None:
        from pychat.tui.screens.switcher import Switcher

        switcher = Switcher(self.client, self.conversations.all(), self.view.finder)
        self.app.push_screen(switcher, self._switched)

    def _switched(self, user: UserInfo | None) -> None:
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
        names = (each.name for each in self._unread(self.client.conversations))
        name = next((name for name in names if name != self.current), "")
        if name:
            self.open(name)

    # --- the members of a room ------------------------------------------------------------

    def action_members(self) -> None:
        from pychat.tui.screens.members import MembersScreen

        if not self.current.startswith(ROOM_PREFIX):
            self.inform("This is no room")
            return
        screen = MembersScreen(self.client, self.view.members, self.current)
        self.app.push_screen(screen, self._member_chosen)

    @on(MemberList.Chosen)
    def _member_clicked(self, event: MemberList.Chosen) -> None:
        self._member_chosen(event.member)

    def _member_chosen(self, member: MemberInfo | None) -> None:
        if member is not None and member.id != self.client.user:
            self.start(UserInfo(member.id, member.alias, online=member.online))

    @work(group="members", exclusive=True)
    async def show_members(self) -> None:
        """Show the members of the open room, where there is room for them."""
        if not self.is_usable:
            return
        name, pane = self.current, self.query_one("#members", MemberList)
        in_room = name.startswith(ROOM_PREFIX)
        known = self.view.members.known(name) if in_room else None
        pane.set_class(bool(known), "-shown")
        pane.show(known or ())
        if not in_room or not self.has_class("-widest"):
            return
        if await self.view.members.load(name) and name == self.current and self.is_usable:
            pane.add_class("-shown")
            pane.show(self.view.members.known(name) or ())

    def action_toggle_list(self) -> None:
        if self.has_class("-narrow"):
            self.toggle_class("-list-shown")
            shown = self.has_class("-list-shown")
        else:
            self.toggle_class("-list-hidden")
            shown = not self.has_class("-list-hidden")
        (self.query_one(ConversationList) if shown else self.view.composer).focus()

    def action_back(self) -> None:
        if self.view.log_view.text_selection is not None:
            self.clear_selection()
        elif self.query_one(SearchBar).is_open:
            self.close_search()
        elif self.selected is not None or self.view.writing.cancel_purpose():
            self.view.composer.focus()
        elif self.has_class("-narrow") and not self.has_class("-list-shown"):
            self.action_toggle_list()
        elif self.current:
            self.open(self.current)

    # --- focus and keys -------------------------------------------------------------------

    def on_screen_resume(self) -> None:
        """Mark as read what came into view below a dialog that was closed."""
        self.view.mark_read()

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self.show_members)
        self.call_after_refresh(self._place_terminal_cursor)

    def _place_terminal_cursor(self) -> None:
        if self.is_usable:
            self.view.composer.place_terminal_cursor()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Refuse all actions while the account changes: the widgets do not exist."""
        return not self._changing and super().check_action(action, parameters)

    async def action_end(self) -> None:
        """Act like Ctrl+D in a shell."""
        if self.view.composer.has_focus and self.view.composer.text:
            self.view.composer.action_delete_right()
        else:
            await self.app.action_quit()

    # --- log and search -------------------------------------------------------------------

    def action_page_up(self) -> None:
        self.view.log_view.scroll_page_up(animate=False)

    def action_page_down(self) -> None:
        self.view.log_view.scroll_page_down(animate=False)

    def action_log_home(self) -> None:
        self.view.log_view.scroll_home(animate=False)

    def action_log_end(self) -> None:
        self.view.go_to_end()

    def action_first_new(self) -> None:
        seq = self.conversations.first_new(self.current)
        if seq:
            self._jump(seq)
        else:
            self.inform("No new messages")

    @work(group="jump", exclusive=True)
    async def _jump(self, seq: int) -> None:
        await self.view.show_message(seq)

    # --- the selected message -------------------------------------------------------------

    @property
    def selected(self) -> MessageInfo | None:
        """The message that the cursor in the log is at."""
        return self.view.log_view.selected

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if not self.is_usable or event.widget is self.view.log_view:
            return
        if self.selected is not None:
            self.view.log_view.select(None)

    def action_select_message(self) -> None:
        if self.current:
            self.remove_class("-list-shown")
            self.view.select_message()

    def action_on_message(self, name: str) -> None:
        self.message_actions.on_selected(name)

    def action_cancel_purpose(self) -> None:
        self.view.writing.cancel_purpose()

    def begin(self, purpose: Purpose) -> None:
        """Reply to a message, or edit it, in the composer."""
        self.view.writing.begin(purpose)
        self.set_focus(self.view.composer)

    @work(group="jump", exclusive=True)
    async def jump(self, seq: int) -> None:
        """Show a message and select it."""
        if not await self.view.jump(seq):
            self.inform("This message is not available")

    def save_file(self, message: MessageInfo) -> None:
        """Save the file of a message to the folder for downloads."""
        self.query_one(FileTransfers).save(message)

    def send_file(self, path: str) -> None:
        """Send a file to the open conversation, as a reply if the composer is for one."""
        writing = self.view.writing
        self.query_one(FileTransfers).send(path, self.current, writing.reply_to)
        if writing.reply_to is not None:
            writing.cancel_purpose()

    def action_cancel_transfer(self) -> None:
        if not self.query_one(FileTransfers).cancel_last():
            self.inform("No file is being sent or saved")

    @on(MessageLog.FileClicked)
    def _file_clicked(self, event: MessageLog.FileClicked) -> None:
        self.save_file(event.message)

    @on(MessageLog.QuoteClicked)
    def _quote_clicked(self, event: MessageLog.QuoteClicked) -> None:
        self.jump(event.seq)

    @on(MessageLog.MenuWanted)
    def _menu_wanted(self, event: MessageLog.MenuWanted) -> None:
        if self.selected is not None:
            self.message_actions.menu(self.selected, Offset(event.x, event.y))

    def action_copy(self) -> None:
        text = self.get_selected_text() or self.view.composer.selected_text
        if not text:
            # Ctrl+C ends other programs, so the user may want to quit.
            key = shortest("quit", self.settings.keys)
            self.inform(f"Nothing is selected. Press {key} to quit")
        else:
            self.app.copy_to_clipboard(text)
            self.clear_selection()
            self.notify("Copied", timeout=2, markup=False)

    def action_links(self) -> None:
        from pychat.tui.screens.dialogs import LinksScreen, newest_links

        opened = self.conversations.opened(self.current)
        if opened is not None:
            self.app.push_screen(LinksScreen(newest_links(opened.transcript)))

    def action_retry(self) -> None:
        self.view.retry_failed()

    def action_mute(self) -> None:
        known = self.conversations.get(self.current)
        if known is not None:
            muted = known.notify is NotifyLevel.MUTED
            self.choose_notify(NotifyLevel.ALL if muted else NotifyLevel.MUTED)

    @work(group="notify")
    async def choose_notify(self, level: NotifyLevel) -> None:
        """Choose which messages of the open conversation notify, on all devices."""
        if self.current:
            title = self.view.title_of(self.current)
            self.inform(await self.notify_choices.choose(self.current, title, level))

    @work(group="mutes", exclusive=True)
    async def _move_mutes(self) -> None:
        await self.notify_choices.move_mutes(self.saved)

    def choose_layout(self, layout: Layout) -> None:
        """Show all conversations in this layout, also after the next start."""
        if layout != self.saved.layout:
            self.saved.layout = layout
        self._lay_out()

    def _lay_out(self) -> None:
        compact = self.saved.layout == "compact"
        self.set_class(compact, "-compact")
        self.conversations.lay_out(compact=compact)
        self.view.log_view.reading_changed()

    def action_password(self) -> None:
        from pychat.tui.screens.password import PasswordScreen

        self.app.push_screen(PasswordScreen(self.client))

    def action_search(self) -> None:
        self.search("")

    @on(SearchBar.Closed)
    def close_search(self) -> None:
        """Hide the search bar and the marks in the log."""
        self.query_one(SearchBar).close()
        self.view.composer.focus()
