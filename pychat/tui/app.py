"""ChatApp: the terminal client. Talks to a ChatClient, which talks to the server."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import constants, events, work
from textual.app import App
from textual.binding import BindingType
from textual.driver import Driver
from textual.events import DescendantFocus
from textual.screen import ModalScreen
from textual.widgets import Input

from pychat.client.errors import ChatClientError
from pychat.client.events import CacheLost, ClientEvent, MessageAdded, StatusChanged
from pychat.client.models import NOT_LOGGED_IN, ConnectionState, MessageInfo
from pychat.tui.clock import Clock
from pychat.tui.commands.keys import bindings
from pychat.tui.crash import write_crash_log
from pychat.tui.model.account_switcher import AccountSwitcher
from pychat.tui.model.accounts import CACHE_LOST, AccountSource, TerminalAccount
from pychat.tui.model.conversations import is_pair
from pychat.tui.model.saved_state import SavedState
from pychat.tui.screens.chat import ChatScreen
from pychat.tui.screens.palette import HINT as PALETTE_HINT
from pychat.tui.screens.palette import PaletteProvider
from pychat.tui.settings import Settings
from pychat.tui.terminal.notifications import Notifications
from pychat.tui.terminal.probe import TerminalAnswers, ask_terminal
from pychat.tui.terminal.terminal import Terminal
from pychat.tui.terminal.typeahead import TypeAhead
from pychat.tui.text.names import line
from pychat.tui.theme.colours import ThemeSelector

if TYPE_CHECKING:
    from pychat.client import ChatClient

EVENTS_PER_TURN = 50
"""So many events are taken in before keys and painting get their turn."""


class ChatApp(App[None]):
    """``account``: whose client the app starts and closes; a client alone has no files but
    ``state``, which keeps what is remembered between runs (muted conversations, the theme).
    ``conversation``: the name of one to open at once. ``accounts``: where others are to be had;
    None where this client is the only one. ``terminal``: where it was taken already.

    After ``run()``: ``sys.exit(app.return_code)``, or a crash leaves with status 0.
    """

    TITLE = "pychat"
    # Textual loads a screen's own CSS_PATH when it is pushed, not for the default screen.
    CSS_PATH = Path(__file__).parent / "screens" / "chat.tcss"
    COMMANDS: ClassVar[set[type[PaletteProvider]]] = {PaletteProvider}  # type: ignore[assignment] # narrower
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")

    def __init__(
        self,
        account: TerminalAccount | ChatClient,
        settings: Settings | None = None,
        *,
        clock: Clock | None = None,
        state: Path | None = None,
        conversation: str | None = None,
        accounts: AccountSource | None = None,
        terminal: Terminal | None = None,
    ) -> None:
        super().__init__()
        self.terminal = terminal
        self.answers = TerminalAnswers()
        self.account = (
            account if isinstance(account, TerminalAccount) else TerminalAccount(account, state)
        )
        self.accounts = accounts
        self.settings = settings or Settings()
        self.clock = clock or Clock()
        self.remembered = SavedState(self.account.state, self.settings.muted)
        self.notifications = Notifications(
            self.settings.notify, self._write_to_terminal, self.clock.now
        )
        self._first = conversation
        self._events: AsyncIterator[ClientEvent] | None = None
        self._problems: list[str] = []
        self._type_ahead = TypeAhead(self)
        self.account_changes = AccountSwitcher(self)
        self.colours = ThemeSelector(self)
        if self.settings.reduced_motion:
            self.animation_level = "none"
        if self.settings.keys:
            self.set_keymap(self.settings.keys)
        self.chat = ChatScreen(self.client, self.clock, self.settings, self.remembered)

    @property
    def client(self) -> ChatClient:
        return self.account.client

    def get_default_screen(self) -> ChatScreen:
        return self.chat

    # --- life -----------------------------------------------------------------------------

    def get_driver_class(self) -> type[Driver]:
        if constants.DRIVER is not None or sys.platform == "win32":
            return super().get_driver_class()
        from pychat.tui.terminal.driver import TerminalDriver

        return TerminalDriver

    def on_load(self) -> None:
        self.answers = ask_terminal()
        if self.terminal is not None:
            self.terminal.end = self._end_from_signal
        self.colours.take()
        asyncio.get_running_loop().set_exception_handler(self._background_error)
        # Subscribed before the client starts: nothing is missed.
        self._events = self.client.events()
        try:
            self._problems += self.account.start(connect=False)
        except ChatClientError as error:
            self.exit(return_code=1, message=Text(f"pychat: {error}"))
            return
        if self.accounts is not None:
            self.accounts.tell = self._tell_from_thread

    def refresh_css(self, animate: bool = True) -> None:
        """Before there is a screen, only the colours change: what is parsed by then would be parsed
        a second time."""
        if self._driver is None:
            self.stylesheet.set_variables(self.get_css_variables())
        else:
            super().refresh_css(animate)

    def on_mount(self) -> None:
        self.app_resume_signal.subscribe(self, self._on_resume)
        if self._events is not None:
            self._listen(self.client, self._events)
        self.theme_changed_signal.subscribe(self, self._theme_changed)
        self._status_changed()
        if self._first is not None:
            self.chat.call_after_refresh(self.chat.open, self._first)
        self.chat.call_after_refresh(self.call_later, self._type_ahead.begin)
        for problem in [*self.remembered.problems, *self._problems]:
            self.warn(problem)

    def on_ready(self) -> None:
        gc.enable()  # whoever starts the app may have turned it off to be quick
        self.client.start()  # what connecting needs takes a while to import

    def exit(
        self, result: None = None, return_code: int = 0, message: RenderableType | None = None
    ) -> None:
        """Keeps what was typed in the last moment."""
        if self.chat.is_mounted:
            self.chat.view.drafting.save()
        super().exit(result, return_code, message)

    async def on_unmount(self) -> None:
        self._type_ahead.close()
        await self.client.close()
        await self.account_changes.close()

    def _end_from_signal(self, number: int) -> None:
        """In the handler of a signal, which may have come in the midst of anything."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self.end_by, number)

    def end_by(self, number: int) -> None:
        """Ends as by this signal, with the status that shells give for it."""
        self.exit(return_code=128 + number)

    def take_typed(self) -> bytes:
        """What was typed while the terminal was asked; once."""
        typed, self.answers = self.answers.typed, replace(self.answers, typed=b"")
        return typed

    def _on_resume(self, app: object) -> None:
        """Somebody else has drawn on the terminal meanwhile."""
        self.notifications.window_title(self.title)
        self.refresh(layout=True)

    def _theme_changed(self, theme: object) -> None:
        self.colours.remember()

    # --- what the client tells ------------------------------------------------------------

    @work(name="events", group="events", exclusive=True)
    async def _listen(self, client: ChatClient, events: AsyncIterator[ClientEvent]) -> None:
        taken = 0
        async for event in events:
            if client is not self.client:
                return  # it is being closed
            self.chat.updates.take(event)
            if isinstance(event, StatusChanged):
                self._status_changed()
            elif isinstance(event, MessageAdded):
                self._notify(event.message)
            elif isinstance(event, CacheLost):
                self.warn(f"{event.reason}: {CACHE_LOST}")
            taken += 1
            if taken % EVENTS_PER_TURN == 0:
                await asyncio.sleep(0)

    def warn(self, problem: str) -> None:
        self.notify(line(problem, 300), severity="warning", timeout=10, markup=False)

    def _status_changed(self) -> None:
        from pychat.tui.screens.login import LoginScreen

        status = self.client.status
        if status.state is ConnectionState.ONLINE:
            self.account_changes.let_in()
        shown = next(
            (screen for screen in self.screen_stack if isinstance(screen, LoginScreen)), None
        )
        if shown is not None:
            shown.status_changed(status)
        elif status.state is ConnectionState.REFUSED:
            wrong = "" if status.reason == NOT_LOGGED_IN else status.reason
            back_to = self.account_changes.way_back
            self.push_screen(LoginScreen(self.client, self.accounts, wrong, back_to))

    # --- other accounts -------------------------------------------------------------------

    async def take_account(
        self, account: TerminalAccount, events: AsyncIterator[ClientEvent]
    ) -> None:
        """All that is shown is of this account from here on."""
        self.account = account
        self.remembered = SavedState(account.state, self.settings.muted)
        for problem in self.remembered.problems:
            self.warn(problem)
        self.colours.take_remembered()
        await self.chat.change_account(self.client, self.remembered)
        while self.screen is not self.chat:  # the form, which has hidden it until now
            await self.pop_screen()
        self._listen(self.client, events)
        self._status_changed()

    def _tell_from_thread(self, text: str) -> None:
        if not self.is_running:
            print(text, file=sys.stderr)
            return
        # Only posts a message: call_from_thread would wait for ever for a loop that ends meanwhile.
        self.notify(line(text, 300), severity="warning", markup=False)

    def _notify(self, message: MessageInfo) -> None:
        if self.app_focus or message.own or message.conversation in self.remembered.muted:
            return
        if not self.settings.previews:
            self.notifications.tell("pychat", "new message")
            return
        sender = self.chat.view.conversations.sender_name(message.sender)
        place = "" if is_pair(message.conversation) else f" in {line(message.conversation)}"
        self.notifications.tell(f"{sender}{place}", line(message.text, 200))

    # --- the terminal ---------------------------------------------------------------------

    def watch_title(self, title: str) -> None:
        if self._driver is not None:
            self.notifications.window_title(title)

    def _write_to_terminal(self, sequence: str) -> None:
        if self._driver is not None and not self.is_headless:
            self._driver.write(sequence)
            self._driver.flush()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        if self.settings.reduced_motion and isinstance(event.widget, Input):
            event.widget.cursor_blink = False

    def on_app_focus(self) -> None:
        self.chat.view.read_marker.mark()

    def on_app_blur(self) -> None:
        self.chat.view.read_marker.left()

    def _fatal_error(self) -> None:
        """Textual would print a traceback with local variables, passwords among them."""
        error = sys.exception()
        assert error is not None  # Textual calls this where it has caught one
        self.panic(Text(f"pychat: an error in the program ended it{_kept(error)}"))

    def _background_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """In a task that nobody waits for: asyncio would write it over the screen."""
        error = context.get("exception") or RuntimeError(context["message"])
        told = f"An error in the program{_kept(error)}"
        self.notify(told, severity="error", timeout=10, markup=False)

    def _print_error_renderables(self) -> None:
        """The first says why it ended; Textual would tell users how to debug the others."""
        for message in self._exit_renderables[:1]:
            self.error_console.print(message)
        self._exit_renderables.clear()

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key) or event.is_forwarded:
            await super().on_event(event)
        elif self._type_ahead.admits(event):
            await super().on_event(event)
            self._type_ahead.handled(event)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing opens over a form or a chooser: whoever types on would not see where it goes."""
        if action in ("help", "command_palette") and isinstance(self.screen, ModalScreen):
            from pychat.tui.screens.help import Help

            return action == "help" and isinstance(self.screen, Help)
        return super().check_action(action, parameters)

    def action_command_palette(self) -> None:
        from pychat.tui.screens.dialog import Palette

        self.push_screen(Palette(placeholder=PALETTE_HINT, id="--command-palette"))

    def action_help(self) -> None:
        """Opens it, or closes it where it is open."""
        from pychat.tui.screens.help import Help

        if isinstance(self.screen, Help):
            self.screen.dismiss()
        else:
            self.push_screen(Help(self.settings.keys))


def _kept(error: BaseException) -> str:
    path = write_crash_log(error)
    return f"; the details are in {path}" if path is not None else ""
