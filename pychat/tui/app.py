"""ChatApp: the terminal client. It shows what a ChatClient knows and reports."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import constants, on, work
from textual.binding import BindingType
from textual.driver import Driver
from textual.events import DescendantFocus
from textual.screen import ModalScreen
from textual.widgets import Input

from pychat.client.errors import ChatClientError
from pychat.client.events import (
    CacheLost,
    ChangeRefused,
    ClientEvent,
    MembershipChanged,
    MessageAdded,
    StatusChanged,
)
from pychat.client.models import NOT_LOGGED_IN, ConnectionState, MessageInfo
from pychat.protocol import Availability
from pychat.tui.clock import Clock
from pychat.tui.commands.keys import bindings
from pychat.tui.commands.slash import ProfileRequested, ThemeRequested
from pychat.tui.model.accounts import (
    CACHE_LOST,
    AccountSource,
    AccountSwitcher,
    TerminalAccount,
)
from pychat.tui.model.conversations import is_pair
from pychat.tui.model.saved_state import SavedState
from pychat.tui.screens.chat import ChatScreen
from pychat.tui.settings import Settings
from pychat.tui.terminal.app import TerminalApp
from pychat.tui.terminal.notifications import Notifications
from pychat.tui.terminal.terminal import Terminal
from pychat.tui.text.names import line, membership_line
from pychat.tui.themes import AUTO, ThemeSelector

if TYPE_CHECKING:
    from textual.worker import Worker

    from pychat.client import ChatClient

EVENTS_PER_TURN = 50
"""Client events handled before keys and painting get their turn."""


class ChatApp(TerminalApp):
    """The terminal client of one account at a time.

    ``account``: the app starts its client and closes it. A ChatClient alone has no files except
    ``state``, which keeps the theme between runs.
    ``conversation``: name of the conversation to open at the start.
    ``accounts``: opens other accounts; None if there is only this one.
    ``terminal``: the terminal, if it was taken before the app was created.

    After ``run()`` call ``sys.exit(app.return_code)``: otherwise a crash ends with status 0.
    """

    TITLE = "pychat"
    # Textual loads a screen's own CSS_PATH when it is pushed, not for the default screen.
    CSS_PATH = Path(__file__).parent / "screens" / "chat.tcss"
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
        super().__init__(terminal)
        self.account = (
            account if isinstance(account, TerminalAccount) else TerminalAccount(account, state)
        )
        self.accounts = accounts
        self.settings = settings or Settings()
        self.clock = clock or Clock()
        self.saved = SavedState(self.account.state)
        self.notifications = Notifications(
            self.settings.notify, self.write_to_terminal, self.clock.now
        )
        self._first = conversation
        self._events: AsyncIterator[ClientEvent] | None = None
        self._problems: list[str] = []
        self.account_switcher = AccountSwitcher(self, accounts)
        self.themes = ThemeSelector(self, self.settings.theme, self.settings.theme_files)
        if self.settings.reduced_motion:
            self.animation_level = "none"
        if self.settings.keys:
            self.set_keymap(self.settings.keys)
        self.chat = ChatScreen(self.client, self.clock, self.settings, self.saved)

    @property
    def client(self) -> ChatClient:
        return self.account.client

    def get_default_screen(self) -> ChatScreen:
        return self.chat

    # --- start and end --------------------------------------------------------------------

    def get_driver_class(self) -> type[Driver]:
        if constants.DRIVER is not None or sys.platform == "win32":
            return super().get_driver_class()
        from pychat.tui.terminal.driver import TerminalDriver

        return TerminalDriver

    def on_load(self) -> None:
        self.take_terminal()
        self.themes.start(light=bool(self.answers.is_light), chosen=self.saved.theme)
        # Subscribe before the client starts, so that no event is missed.
        self._events = self.client.events()
        try:
            self._problems += self.account.start(connect=False)
        except ChatClientError as error:
            self.exit(return_code=1, message=Text(f"pychat: {error}"))
            return
        if self.accounts is not None:
            self.accounts.tell = self._warn_from_thread

    def refresh_css(self, animate: bool = True) -> None:
        """Change only the colours before the first screen: Textual would parse all CSS twice."""
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
        self.chat.call_after_refresh(self.call_later, self.type_ahead.begin)
        for problem in [*self.saved.problems, *self._problems]:
            self.warn(problem)

    def on_ready(self) -> None:
        gc.enable()  # callers may have disabled it for a faster start
        self.client.start()  # connects now: its imports would have delayed the first screen

    def exit(
        self, result: None = None, return_code: int = 0, message: RenderableType | None = None
    ) -> None:
        """End the app, with the text in the composer saved as a draft."""
        if self.chat.is_mounted and self.chat.is_usable:
            self.chat.view.writing.save()
        super().exit(result, return_code, message)

    async def on_unmount(self) -> None:
        self.type_ahead.close()
        await self.client.close()
        await self.account_switcher.close()

    def _on_resume(self, app: object) -> None:
        """Repaint: the shell has used the terminal meanwhile."""
        self.notifications.window_title(self.title)
        self.refresh(layout=True)

    def _theme_changed(self, theme: object) -> None:
        self.saved.theme = self.themes.chosen

    # --- client events --------------------------------------------------------------------

    @work(name="events", group="events", exclusive=True)
    async def _listen(self, client: ChatClient, events: AsyncIterator[ClientEvent]) -> None:
        taken = 0
        async for event in events:
            if client is not self.client:
                return  # another account is shown now; this client is closing
            self.chat.take(event)
            if isinstance(event, StatusChanged):
                self._status_changed()
            elif isinstance(event, MessageAdded):
                self._notify(event.message)
            elif isinstance(event, MembershipChanged):
                self.inform(membership_line(event))
            elif isinstance(event, ChangeRefused):
                self.warn(event.reason)
            elif isinstance(event, CacheLost):
                self.warn(f"{event.reason}: {CACHE_LOST}")
            taken += 1
            if taken % EVENTS_PER_TURN == 0:
                await asyncio.sleep(0)

    def warn(self, problem: str) -> None:
        """Show a problem for ten seconds."""
        self.notify(line(problem, 300), severity="warning", timeout=10, markup=False)

    def inform(self, text: str) -> None:
        """Show a line for a few seconds."""
        self.notify(line(text, 300), markup=False)

    def _status_changed(self) -> None:
        from pychat.tui.screens.login import LoginScreen

        status = self.client.status
        if status.state is ConnectionState.ONLINE:
            self.account_switcher.logged_in()
        shown = next(
            (screen for screen in self.screen_stack if isinstance(screen, LoginScreen)), None
        )
        if shown is not None:
            shown.status_changed(status)
        elif status.state is ConnectionState.REFUSED:
            reason = "" if status.reason == NOT_LOGGED_IN else status.reason
            self.push_screen(
                LoginScreen(self.client, self.account_switcher, self.settings.keys, reason)
            )

    def _notify(self, message: MessageInfo) -> None:
        if self.app_focus or message.own or not self.chat.notify_choices.announces(message):
            return
        if self.client.profile.status is Availability.DND:
            return
        if not self.settings.previews:
            self.notifications.send("pychat", "New message")
            return
        sender = self.chat.view.conversations.sender_name(message.sender)
        place = "" if is_pair(message.conversation) else f" in {line(message.conversation)}"
        self.notifications.send(f"{sender}{place}", line(message.shown_text, 200))

    # --- other accounts -------------------------------------------------------------------
    # The app is the AccountDisplay of its AccountSwitcher.

    @property
    def current_conversation(self) -> str:
        return self.chat.current

    async def show_account(
        self, account: TerminalAccount, events: AsyncIterator[ClientEvent], conversation: str
    ) -> None:
        self.account = account
        self.saved = SavedState(account.state)
        for problem in self.saved.problems:
            self.warn(problem)
        self.themes.use(self.saved.theme)
        await self.chat.change_account(self.client, self.saved)
        while self.screen is not self.chat:  # the login form, which has hidden it until now
            await self.pop_screen()
        self._listen(self.client, events)
        self._status_changed()
        if conversation:
            self.chat.open(conversation)

    def run_in_background(self, task: Callable[[], Coroutine[None, None, None]]) -> None:
        # A function, because a coroutine would never be awaited if the app ends before its turn.
        _: Worker[None] = self.run_worker(task, group="account")

    def _warn_from_thread(self, text: str) -> None:
        if not self.is_running:
            print(text, file=sys.stderr)
            return
        # Only posts a message: call_from_thread would wait for ever for a loop that has ended.
        self.notify(line(text, 300), severity="warning", markup=False)

    @on(ProfileRequested)
    def _profile_requested(self, event: ProfileRequested) -> None:
        names = list(self.accounts.profiles) if self.accounts is not None else []
        if event.name in names:
            self.account_switcher.open_profile(event.name)
        elif names:
            self.inform(f"Type /profile and one of: {', '.join(names)}")
        else:
            self.inform("There are no profiles. Add them to pychat.toml as [profiles.NAME]")

    # --- terminal and themes --------------------------------------------------------------

    @on(ThemeRequested)
    def _theme_requested(self, event: ThemeRequested) -> None:
        if not event.name:
            self.action_change_theme()
        elif event.name == AUTO:
            self.themes.follow_settings()
        elif event.name in self.available_themes:
            self.theme = event.name
        else:
            self.inform(f"There is no theme {event.name}. Type /theme to see all themes")

    def watch_title(self, title: str) -> None:
        if self._driver is not None:
            self.notifications.window_title(title)

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        if self.settings.reduced_motion and isinstance(event.widget, Input):
            event.widget.cursor_blink = False

    def on_app_focus(self) -> None:
        self.chat.view.mark_read()

    def on_app_blur(self) -> None:
        self.chat.view.focus_lost()

    # --- actions --------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Refuse to open a dialog over a dialog: users who keep typing would not see the text."""
        if action in ("help", "command_palette") and isinstance(self.screen, ModalScreen):
            from pychat.tui.screens.dialogs import HelpScreen

            return action == "help" and isinstance(self.screen, HelpScreen)
        return super().check_action(action, parameters)

    def action_command_palette(self) -> None:
        from pychat.tui.screens.palette import Palette, PaletteContents

        contents = PaletteContents(
            client=self.client,
            conversations=self.chat.conversations,
            finder=self.chat.view.finder,
            rebound=self.settings.keys,
            profiles=self.accounts.profiles if self.accounts is not None else {},
            themes=list(self.available_themes),
        )
        self.push_screen(Palette(contents))

    def action_help(self) -> None:
        """Open the help, or close it."""
        from pychat.tui.screens.dialogs import HelpScreen

        if isinstance(self.screen, HelpScreen):
            self.screen.dismiss()
        else:
            self.push_screen(HelpScreen(self.settings.keys))
