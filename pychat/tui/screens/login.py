"""Login: server and id filled in, the password hidden, what went wrong beside the fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Button, Input, Label, Static

from pychat.client.errors import ChatClientError, LoginRefused
from pychat.tui.names import line
from pychat.tui.screens.dialog import Dialog

if TYPE_CHECKING:
    from pychat.client import ChatClient

HINT = "New here? The first password given for an id claims it."


class Login(Dialog[None]):
    """Dismissed once logged in. What was typed stays when it was wrong."""

    CSS_PATH = "login.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(self, client: ChatClient, reason: str = "") -> None:
        super().__init__()
        self._client = client
        self._reason = reason

    def compose(self) -> ComposeResult:
        with Vertical(id="login"):
            yield Label("Log in", id="login-title")
            yield Label("Server", classes="field")
            yield Input(self._client.server, id="server", disabled=True)
            yield Label("Your id", classes="field")
            yield Input(line(self._client.user), id="user", disabled=True)
            yield Label("Password", classes="field")
            yield Input(password=True, id="password", placeholder="Password")
            yield Static(line(self._reason, 300), id="login-error", markup=False)
            yield Button("Log in, or claim this id", id="submit", variant="primary")
            yield Static(HINT, id="login-hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#password", Input).focus()

    @on(Input.Submitted)
    @on(Button.Pressed)
    def _submit(self) -> None:
        password = self.query_one("#password", Input).value
        if not password:
            self._say("Type a password.")
            return
        self._say("")
        self.query_one("#submit", Button).disabled = True
        self.query_one("#submit", Button).label = "Logging in…"
        self._login(password)

    @work(exclusive=True)
    async def _login(self, password: str) -> None:
        try:
            told = await self._client.login(password)
        except LoginRefused as error:
            self._say(str(error))
        except ChatClientError as error:
            self._say(f"{error} (it goes on trying)")
        else:
            self.app.notify(line(told, 300), markup=False)
            self.dismiss()
            return
        button = self.query_one("#submit", Button)
        button.disabled = False
        button.label = "Log in, or claim this id"
        field = self.query_one("#password", Input)
        field.focus()
        field.select_all()  # typing replaces what was wrong

    def _say(self, text: str) -> None:
        self.query_one("#login-error", Static).update(line(text, 300))
