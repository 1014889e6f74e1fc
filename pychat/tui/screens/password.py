"""PasswordScreen: the form that changes the user's password."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Button, Input, Label, Static

from pychat.client.errors import ChatClientError
from pychat.tui.screens.dialogs import Dialog
from pychat.tui.text.names import line

if TYPE_CHECKING:
    from pychat.client import ChatClient

FIELDS: Final = {
    "current": "Current password",
    "new": "New password",
    "again": "New password again",
}


class PasswordScreen(Dialog[None]):
    """Ask for the current password and twice for the new one. Errors are shown in place."""

    CSS_PATH = "login.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
        Binding("escape", "dismiss", show=False),
    ]

    def __init__(self, client: ChatClient) -> None:
        super().__init__()
        self._client = client

    def compose(self) -> ComposeResult:
        with Vertical(id="login"):
            yield Label("Change your password", id="login-title")
            for id, label in FIELDS.items():
                yield Label(label, classes="field")
                yield Input(password=True, id=id)
            yield Static("", id="login-error", markup=False)
            yield Button("Change password", id="submit", variant="primary")
            yield Static("Your other devices are logged out. Esc: back", id="login-hint")

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        if event.input.id == "again":
            self._change()
        else:
            self.focus_next()

    @on(Button.Pressed, "#submit")
    def _pressed(self) -> None:
        self._change()

    def _say(self, text: str, field: str = "") -> None:
        self.query_one("#login-error", Static).update(line(text, 300))
        if field:
            self.query_one(f"#{field}", Input).focus()

    @work(exclusive=True)
    async def _change(self) -> None:
        current, new, again = (self.query_one(f"#{id}", Input).value for id in FIELDS)
        if not current or not new:
            missing = "new" if current else "current"
            self._say(f"Enter the {FIELDS[missing].lower()}", missing)
            return
        if new != again:
            self._say("The new passwords are not the same", "again")
            return
        # Pressed again, it would be sent with the older password as the current one.
        button = self.query_one("#submit", Button)
        button.disabled = True
        try:
            await self._client.change_password(current, new)
        except ChatClientError as error:
            self._say(str(error), "current")
        else:
            self.app.notify("The password is changed", markup=False)
            self.dismiss()
        finally:
            button.disabled = False
