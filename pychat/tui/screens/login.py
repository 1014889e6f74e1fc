"""LoginScreen: the login form, with server and id filled in and errors shown in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Button, Input, Label, Static

from pychat.client.connection.address import normalized_address
from pychat.client.errors import ChatClientError, LoginRefused, ServerUnreachable
from pychat.client.models import NOT_LOGGED_IN, TOKEN_AWAITED, ConnectionState, Status
from pychat.protocol import Code
from pychat.tui.commands.keys import shortest
from pychat.tui.model.accounts import AccountSwitcher, TerminalAccount
from pychat.tui.screens.dialogs import Dialog
from pychat.tui.text.names import line

if TYPE_CHECKING:
    from pychat.client import ChatClient

MISSING: Final = {
    "server": "Enter the server's address",
    "user": "Enter your id",
    "password": "Enter a password",
}
HINT: Final = "New here? Choose an id and a password to create an account."
SUBMIT: Final = "Log in or create account"


class LoginScreen(Dialog[None]):
    """Ask for a password, close when the client is logged in. After an error the fields stay.

    Server and id can be changed if the switcher can open accounts. Another account gets its own
    client, which replaces the app's client only after it has logged in. ``rebound``: keys changed
    in the settings; ``reason``: why the server refused the login, empty at the first login.
    """

    CSS_PATH = "login.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-low"), (23, "-high")]  # noqa: RUF012 - Screen declares it so
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
        Binding("escape", "back", show=False, id="back"),
    ]

    def __init__(
        self,
        client: ChatClient,
        switcher: AccountSwitcher,
        rebound: Mapping[str, str],
        reason: str = "",
    ) -> None:
        super().__init__()
        self._client = client
        self._switcher = switcher
        self._accounts = switcher.source
        self._rebound = rebound
        self._reason = reason
        self._failure = ""
        """Why the last login failed, unless the client retries by itself."""
        self._watched = ""
        """The server's address as it was typed, while its availability is watched."""
        self._reached = False
        self._says_unreachable = False
        self._back_to = switcher.previous_user
        """Id of the account that Esc returns to; empty if there is none."""
        self._trying = False
        self._retrying = False
        """Whether the client repeats the last login by itself."""
        self._creating: tuple[str, str] | None = None
        """Server and id, as they were typed, of an account that the next login creates."""

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
            yield Static(self._hint(), id="login-hint", markup=False)

    def _hint(self) -> str:
        quits = f"{shortest('quit', self._rebound)}: quit"
        if not self._back_to:
            return f"{HINT}\n{quits}"
        back = f"{shortest('back', self._rebound)}: back to {line(self._back_to, 40)}"
        return f"{HINT}\n{back}   {quits}"

    def on_mount(self) -> None:
        self.query_one("#password" if self._client.user else "#user", Input).focus()
        self._watch_server(self._client.server)

    def status_changed(self, status: Status) -> None:
        """Close if the client has logged in by itself, after its server or keyring was back."""
        if status.state is ConnectionState.ONLINE and not self._trying:
            self._leave()
        elif status.state is ConnectionState.REFUSED and self._reason == TOKEN_AWAITED:
            self._reason = "" if status.reason == NOT_LOGGED_IN else status.reason
            self._say(self._reason)
        elif status.state is ConnectionState.REFUSED and self._retrying:
            self._retrying = False
            self._say(status.reason)

    def _leave(self) -> None:
        """Close: the client is logged in, but not through this form."""
        user = line(self._client.user)
        text = f"Logged in as {user}"
        if self._failure:
            text = line(f"{text} with the saved login, although: {self._failure}", 300)
        self.app.notify(text, markup=False)
        self.dismiss()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Refuse to go back while a login is running."""
        if action == "back":
            return bool(self._back_to) and not self._trying
        return super().check_action(action, parameters)

    def action_back(self) -> None:
        self._switcher.go_back()

    # --- availability of the server ---------------------------------------------------------

    @on(Input.Changed, "#server")
    @on(Input.Changed, "#user")
    def _account_changed(self) -> None:
        if self._creating is not None and self._creating != self._typed_account():
            self._creating = None
            self._say("")
            self._label_button()

    @on(Input.Changed, "#server")
    def _server_changed(self, event: Input.Changed) -> None:
        if self._watched and event.value.strip() != self._watched:
            self._watched = ""
            self._reached = False
            self.workers.cancel_group(self, "watch")
            if self._says_unreachable:
                self._say("")

    @on(Input.Blurred, "#server")
    def _server_left(self, event: Input.Blurred) -> None:
        typed = event.value.strip()
        if typed and typed != self._watched:
            self._watch_server(typed)

    def _watch_server(self, typed: str) -> None:
        try:
            client = self._client_at(typed)
        except ChatClientError as error:
            self._say(str(error))
        else:
            self._watched = typed
            self._watch(client)

    def _client_at(self, server: str) -> ChatClient:
        """Return a client for this server. Raises ChatClientError."""
        if self._accounts is None or normalized_address(server) == self._client.server:
            return self._client
        return self._accounts.open(server, "").client

    @work(exclusive=True, group="watch")
    async def _watch(self, client: ChatClient) -> None:
        await client.probe_server(self._availability_changed)

    def _availability_changed(self, why: str) -> None:
        if why and not self._says_unreachable:
            self._say(f"{why}. Retrying…", unreachable=True)
        elif not why and self._says_unreachable:
            self._say("")
        self._reached = not why

    # --- logging in -----------------------------------------------------------------------

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
        self._failure = ""
        self._retrying = False
        self._set_trying(True)
        server, user = self._typed_account()
        create = self._creating == (server, user)
        self._login(server, user, self.query_one("#password", Input).value, create)

    def _typed_account(self) -> tuple[str, str]:
        """Server and id, as they were typed."""
        server, user = (self.query_one(id, Input).value.strip() for id in ("#server", "#user"))
        return server, user

    @work(exclusive=True)
    async def _login(self, server: str, user: str, password: str, create: bool) -> None:
        account = None
        try:
            if self._switcher.is_previous(normalized_address(server), user):
                self._switcher.go_back()  # it is logged in and has its files open
                return
            account = self._other_account(server, user)
            client = self._client if account is None else account.client
            result = await client.login(password, create=create)
        except ServerUnreachable as error:
            goes_on = " (retrying)" if account is None else ""
            self._failure = "" if account is None else str(error)
            self._retrying = account is None
            await self._failed(f"{error}{goes_on}", account, unreachable=not self._reached)
        except LoginRefused as refusal:
            if refusal.code == Code.NOT_FOUND:
                await self._ask_to_create(server, user, account)
            else:
                if refusal.field != "password":
                    self._creating = None
                self._failure = str(refusal)
                await self._failed(self._failure, account)
        except ChatClientError as error:
            self._failure = str(error)
            await self._failed(self._failure, account)
        else:
            self.app.notify(line(result.message, 300), markup=False)
            if account is None:
                self.dismiss()
            else:
                self._switcher.switch_to(account)

    def _other_account(self, server: str, user: str) -> TerminalAccount | None:
        """Open the account if it is not the one that the form was opened for.

        Raises ChatClientError.
        """
        mine = (self._client.server, line(self._client.user))
        if self._accounts is None or (normalized_address(server), user) == mine:
            return None
        return self._accounts.open(server, user)

    async def _ask_to_create(self, server: str, user: str, account: TerminalAccount | None) -> None:
        """Let the button create the account: Enter confirms, and another id goes back."""
        if account is not None:
            await account.client.close()
        self._creating = (server, user)
        self._set_trying(False)
        self._say(f"There is no account {user}. Create it with this password?", question=True)
        if self._client.status.state is ConnectionState.ONLINE:
            self._leave()
            return
        self.query_one("#submit", Button).focus()

    async def _failed(
        self, why: str, account: TerminalAccount | None, *, unreachable: bool = False
    ) -> None:
        if account is not None:
            await account.client.close()
        self._say(why, unreachable=unreachable)
        self._set_trying(False)
        if self._client.status.state is ConnectionState.ONLINE:
            self._leave()
            return
        field = self.query_one("#password", Input)
        field.focus()
        field.select_all()  # typing replaces the wrong password

    def _set_trying(self, trying: bool) -> None:
        self._trying = trying
        self._label_button()

    def _label_button(self) -> None:
        button = self.query_one("#submit", Button)
        button.disabled = self._trying
        if self._creating is not None:
            user = line(self._creating[1], 24)
            button.label = "Creating account…" if self._trying else f"Create account {user}"
        else:
            button.label = "Logging in…" if self._trying else SUBMIT

    def _say(self, text: str, *, unreachable: bool = False, question: bool = False) -> None:
        """Show an error, or a question. ``unreachable``: it is cleared when the server is
        available."""
        self._says_unreachable = unreachable
        error = self.query_one("#login-error", Static)
        error.update(line(text, 300))
        error.set_class(unreachable or question, "-warning")
