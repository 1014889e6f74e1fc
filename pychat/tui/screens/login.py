"""Login: server and id filled in, the password hidden, what went wrong beside the fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Button, Input, Label, Static

from pychat.client.address import normalized_address
from pychat.client.errors import ChatClientError, LoginRefused, ServerUnreachable
from pychat.client.models import ConnectionState, Status
from pychat.tui.accounts import Account, Accounts
from pychat.tui.keys import shortest
from pychat.tui.names import line
from pychat.tui.screens.dialog import Dialog

if TYPE_CHECKING:
    from pychat.client import ChatClient
    from pychat.tui.app import ChatApp

MISSING: Final = {
    "server": "Type the server's address.",
    "user": "Type your id.",
    "password": "Type a password.",
}
HINT = "New here? The first password given for an id claims it."


SUBMIT = "Log in, or claim this id"


class Login(Dialog[None]):
    """Dismissed once logged in. What was typed stays when it was wrong.

    Server and id can be changed where there are ``accounts``; another account is tried by a client
    of its own, and only one that is let in takes the place of the app's.
    """

    CSS_PATH = "login.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(
        self, client: ChatClient, accounts: Accounts | None = None, reason: str = ""
    ) -> None:
        super().__init__()
        self._client = client
        self._accounts = accounts
        self._reason = reason
        self._trying = False

    def compose(self) -> ComposeResult:
        fixed = self._accounts is None
        with Vertical(id="login"):
            yield Label("Log in", id="login-title")
            yield Label("Server", classes="field")
            yield Input(self._client.server, id="server", disabled=fixed)
            yield Label("Your id", classes="field")
            yield Input(line(self._client.user), id="user", disabled=fixed)
            yield Label("Password", classes="field")
            yield Input(password=True, id="password", placeholder="Password")
            yield Static(line(self._reason, 300), id="login-error", markup=False)
            yield Button(SUBMIT, id="submit", variant="primary")
            quits = shortest("quit", cast("ChatApp", self.app).settings.keys)
            yield Static(f"{HINT} {quits} quits.", id="login-hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#password", Input).focus()

    def status_changed(self, status: Status) -> None:
        """The client may have got in by itself, when its server came back."""
        if status.state is ConnectionState.ONLINE and not self._trying:
            self.dismiss()

    @on(Input.Submitted)
    @on(Button.Pressed)
    def _submit(self) -> None:
        if self._trying:
            return
        for id, missing in MISSING.items():
            field = self.query_one(f"#{id}", Input)
            if not field.value.strip():
                self._say(missing)
                field.focus()
                return
        self._say("")
        self._set_trying(True)
        self._login(
            self.query_one("#server", Input).value.strip(),
            self.query_one("#user", Input).value.strip(),
            self.query_one("#password", Input).value,
        )

    @work(exclusive=True)
    async def _login(self, server: str, user: str, password: str) -> None:
        account: Account | None = None
        try:
            account = self._other_account(server, user)
            client = self._client if account is None else account.client
            told = await client.login(password)
        except LoginRefused as error:
            await self._failed(str(error), account)
        except ServerUnreachable as error:
            goes_on = " (it goes on trying)" if account is None else ""
            await self._failed(f"{error}{goes_on}", account)
        except ChatClientError as error:
            await self._failed(str(error), account)
        else:
            app = cast("ChatApp", self.app)
            app.notify(line(told, 300), markup=False)
            if account is None:
                self.dismiss()
            else:
                app.account_changes.to(account)

    def _other_account(self, server: str, user: str) -> Account | None:
        """Another one than the form was opened for. Raises ChatClientError."""
        mine = (self._client.server, line(self._client.user))
        if self._accounts is None or (normalized_address(server), user) == mine:
            return None
        return self._accounts.open(server, user)

    async def _failed(self, why: str, account: Account | None) -> None:
        if account is not None:
            await account.client.close()
        self._say(why)
        self._set_trying(False)
        if self._client.status.state is ConnectionState.ONLINE:
            self.dismiss()
            return
        field = self.query_one("#password", Input)
        field.focus()
        field.select_all()  # typing replaces what was wrong

    def _set_trying(self, trying: bool) -> None:
        self._trying = trying
        button = self.query_one("#submit", Button)
        button.disabled = trying
        button.label = "Logging in…" if trying else SUBMIT

    def _say(self, text: str) -> None:
        self.query_one("#login-error", Static).update(line(text, 300))
