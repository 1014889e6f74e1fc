"""ChatApp: the terminal client. Talks to a ChatClient, which talks to the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import App
from textual.binding import BindingType

from pychat.client.events import ClientEvent, StatusChanged
from pychat.client.models import ConnectionState
from pychat.tui.clock import Clock
from pychat.tui.keys import bindings
from pychat.tui.screens.chat import ChatScreen
from pychat.tui.settings import Settings
from pychat.tui.themes import DARK, LIGHT

if TYPE_CHECKING:
    from pychat.client import ChatClient

EVENTS_PER_TURN = 50
"""So many events are taken in before keys and painting get their turn."""


class ChatApp(App[None]):
    """``client`` has not been started: the app starts and closes it.

    After ``run()``: ``sys.exit(app.return_code)``, or a crash leaves with status 0.
    """

    TITLE = "pychat"
    # Textual loads a screen's own CSS_PATH when it is pushed, not for the default screen.
    CSS_PATH = Path(__file__).parent / "screens" / "chat.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")

    def __init__(
        self,
        client: ChatClient,
        settings: Settings | None = None,
        *,
        conversation: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        """``conversation``: the name of one to open at once."""
        super().__init__()
        self._first = conversation
        self.client = client
        self.settings = settings or Settings()
        self.clock = clock or Clock()
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        if self.settings.reduced_motion:
            self.animation_level = "none"
        if self.settings.keys:
            self.set_keymap(self.settings.keys)
        self.chat = ChatScreen(client, self.clock, self.settings)

    def get_default_screen(self) -> ChatScreen:
        return self.chat

    def on_load(self) -> None:
        theme = self.settings.theme
        self.theme = theme if theme in self.available_themes else DARK.name

    def on_mount(self) -> None:
        # Subscribed before the client starts: nothing is missed.
        self.run_worker(self._listen(self.client.events()), name="events")
        self.client.start()
        self._status_changed()
        if self._first is not None:
            self.chat.call_after_refresh(self.chat.open, self._first)

    async def on_unmount(self) -> None:
        await self.client.close()

    async def _listen(self, events: AsyncIterator[ClientEvent]) -> None:
        taken = 0
        async for event in events:
            self.chat.client_event(event)
            if isinstance(event, StatusChanged):
                self._status_changed()
            taken += 1
            if taken % EVENTS_PER_TURN == 0:
                await asyncio.sleep(0)

    def _status_changed(self) -> None:
        from pychat.tui.screens.login import Login

        status = self.client.status
        if status.state is ConnectionState.REFUSED and not isinstance(self.screen, Login):
            self.push_screen(Login(self.client, status.reason))

    def on_app_focus(self) -> None:
        self.chat.mark_read()

    def action_help(self) -> None:
        from pychat.tui.screens.help import Help

        self.push_screen(Help(self.settings.keys))
