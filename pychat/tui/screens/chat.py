"""ChatScreen: the list, one conversation, the status line, and how one moves between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.screen import Screen

from pychat.client.models import UserInfo
from pychat.tui.clock import Clock
from pychat.tui.commands.keys import bindings, shortest
from pychat.tui.commands.runner import CommandRunner
from pychat.tui.model.conversations import is_pair
from pychat.tui.model.saved_state import SavedState
from pychat.tui.screens.updates import Updates
from pychat.tui.settings import Settings
from pychat.tui.text.names import line
from pychat.tui.widgets.completions import Completions
from pychat.tui.widgets.composer import Composer
from pychat.tui.widgets.conversation_list import ConversationList
from pychat.tui.widgets.conversation_view import ConversationView
from pychat.tui.widgets.search_bar import SearchBar
from pychat.tui.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from pychat.client import ChatClient

HINT_SECONDS: Final = 6.0


class ChatScreen(Screen[None]):
    """Everything about one account."""

    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - Screen declares it as an instance variable
        (0, "-narrow"),
        (64, "-normal"),
        (120, "-wide"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = bindings("chat")

    def __init__(
        self, client: ChatClient, clock: Clock, settings: Settings, remembered: SavedState
    ) -> None:
        super().__init__(classes="-nothing-open")
        self._clock = clock
        self._settings = settings
        self._told_where = False
        self._changing = False
        self._commands = CommandRunner(self)
        self.updates = Updates(self, clock)
        self._take(client, remembered)

    def _take(self, client: ChatClient, remembered: SavedState) -> None:
        self.client = client
        self.remembered = remembered
        self.view = ConversationView(client, self._clock, self._settings, id="main")

    async def change_account(self, client: ChatClient, remembered: SavedState) -> None:
        """Made anew, for another account: nothing of the one before is left."""
        self.view.drafting.save()
        self._changing = True
        self._take(client, remembered)
        self.remove_class("-list-shown", "-list-hidden")
        await self.recompose()
        self._changing = False
        self._begin()

    def compose(self) -> ComposeResult:
        rebound = self._settings.keys
        with Horizontal(id="body"):
            yield ConversationList(self.updates.item, id="list")
            yield self.view
        status = StatusLine(self._clock, id="status")
        status.user = line(self.client.user)
        status.hints = f"{shortest('switch', rebound)} find  {shortest('help', rebound)} help"
        yield status

    def on_mount(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.query_one(StatusLine).status = self.client.status
        self.add_class("-nothing-open")
        self.view.drafting.load_waiting()
        self._show_waiting()
        self.updates.show_list()
        self.view.learn_to_find()
        self.query_one(ConversationList).focus()

    @property
    def current(self) -> str:
        """Its name; empty while none is."""
        return self.view.current

    @property
    def stands(self) -> bool:
        """Whether its widgets are there: not while it is made anew, nor when the app ends."""
        return not self._changing and self.app.is_running

    @on(ConversationView.DraftChanged)
    @on(SearchBar.Moved)
    def _list_changed(self) -> None:
        self.updates.show_list()

    # --- writing --------------------------------------------------------------------------

    @on(ConversationView.Commanded)
    @work(group="commands")
    async def _commanded(self, event: ConversationView.Commanded) -> None:
        await self._commands.run(event.command, event.arguments)

    @on(Completions.Chosen)
    def _completion_clicked(self, event: Completions.Chosen) -> None:
        self.query_one(Composer).complete(event.candidate)

    # --- moving around --------------------------------------------------------------------

    def open(self, name: str) -> None:
        """Shows a conversation, ready to write."""
        if name != self.current:
            self.close_search()
            self.view.open(name)
            self.remove_class("-nothing-open", "-waiting")
            self.updates.show_list()
        self.remove_class("-list-shown")
        self.view.composer.focus()

    def close_conversation(self) -> None:
        """Nothing is open then, as at the beginning."""
        self.close_search()
        self.view.close()
        self.add_class("-nothing-open")
        self.updates.show_list()
        self.query_one(ConversationList).focus()

    def start(self, user: UserInfo) -> None:
        """Opens a conversation with somebody, which may have no message yet."""
        self.view.conversations.begin(user)
        self.open(user.id)

    @on(ConversationList.Opened)
    def _list_opened(self, event: ConversationList.Opened) -> None:
        self.open(event.name)

    @on(ConversationList.Typed)
    def _typed_in_list(self, event: ConversationList.Typed) -> None:
        """It is a message's beginning: of the open conversation, or of the next one."""
        if self.current:
            self.open(self.current)
        if event.text:
            self.view.composer.write(event.text)
            self._show_waiting()
        if not self.current and not self._told_where:
            self._told_where = True
            self.set_timer(HINT_SECONDS, self._tell_again)
            key = shortest("switch", self._settings.keys)
            kept = "It waits for whom you choose" if event.text else "Nothing is open"
            self.app.notify(
                f"{kept}: {key} finds somebody, ↓ and Enter choose from the list.",
                timeout=HINT_SECONDS,
                markup=False,
            )

    @on(ConversationList.Erased)
    def _erased_in_list(self) -> None:
        if not self.current:
            self.view.composer.action_delete_left()
            self._show_waiting()

    def _show_waiting(self) -> None:
        """What is written before anybody was chosen."""
        self.set_class(not self.current and bool(self.view.composer.text), "-waiting")

    def _tell_again(self) -> None:
        self._told_where = False

    def on_screen_resume(self) -> None:
        """A dialog was closed: what came into view below it is read now."""
        self.view.read_marker.mark()

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self._place_terminal_cursor)

    def _place_terminal_cursor(self) -> None:
        if self.stands:
            self.view.composer.place_terminal_cursor()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """None while it is made anew: there is nothing for keys to act on."""
        return not self._changing and super().check_action(action, parameters)

    def action_switch(self) -> None:
        from pychat.tui.screens.switcher import Switcher

        conversations = self.view.conversations.all()
        switcher = Switcher(self.client, conversations, self.view.finder)
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
        names = (each.name for each in self.updates.unread(self.client.conversations))
        name = next((name for name in names if name != self.current), "")
        if name:
            self.open(name)

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
        elif self.has_class("-narrow") and not self.has_class("-list-shown"):
            self.action_toggle_list()
        elif self.current:
            self.open(self.current)

    async def action_end(self) -> None:
        """What Ctrl+D is in shells."""
        if self.view.composer.has_focus and self.view.composer.text:
            self.view.composer.action_delete_right()
        else:
            await self.app.action_quit()

    # --- the log --------------------------------------------------------------------------

    def action_page_up(self) -> None:
        self.view.log_view.scroll_page_up(animate=False)

    def action_page_down(self) -> None:
        self.view.log_view.scroll_page_down(animate=False)

    def action_log_home(self) -> None:
        self.view.log_view.scroll_home(animate=False)

    def action_log_end(self) -> None:
        self.view.go_to_end()

    def action_first_new(self) -> None:
        seq = self.view.conversations.first_new(self.current)
        if seq:
            self._jump(seq)
        else:
            self.app.notify("Nothing new here since you last looked.", markup=False)

    @work(group="jump", exclusive=True)
    async def _jump(self, seq: int) -> None:
        await self.view.show_message(seq)

    def action_copy(self) -> None:
        text = self.get_selected_text() or self.view.composer.selected_text
        if not text:
            # Elsewhere it ends programs.
            key = shortest("quit", self._settings.keys)
            self.app.notify(f"Nothing is selected. {key} quits.", markup=False)
        else:
            self.app.copy_to_clipboard(text)
            self.clear_selection()
            self.app.notify("Copied.", timeout=2, markup=False)

    def action_links(self) -> None:
        from pychat.tui.screens.links import Links

        opened = self.view.conversations.opened(self.current)
        if opened is not None:
            self.app.push_screen(Links(opened.transcript))

    def action_retry(self) -> None:
        self.view.retry_failed()

    def action_mute(self) -> None:
        if self.current:
            muted = self.remembered.toggle_muted(self.current)
            title = self.view.title_of(self.current)
            self.app.notify(f"{title} is {'muted' if muted else 'heard again'}.", markup=False)
            self.updates.show_list()

    # --- searching ------------------------------------------------------------------------

    def action_search(self) -> None:
        self.search("")

    def search(self, text: str, *, everywhere: bool = False) -> None:
        """Opens the search over the log, or goes back to it."""
        if self.current:
            self.query_one(SearchBar).open(text, everywhere=everywhere)

    @on(SearchBar.Closed)
    def close_search(self) -> None:
        """The log as it was, without highlights."""
        self.query_one(SearchBar).close()
        self.view.composer.focus()
