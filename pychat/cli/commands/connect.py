"""``pychat connect``: the terminal client."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

import click

from pychat.cli.credentials.login import Credentials, run
from pychat.cli.settings.options import (
    ConversationName,
    SettingsCommand,
    form_login_options,
    option,
    source_of,
)

if TYPE_CHECKING:
    from pychat.client import ChatClient
    from pychat.tui.terminal.terminal import Terminal


@click.command(cls=SettingsCommand)
@form_login_options
@option(
    "--with",
    "name",
    type=ConversationName(),
    metavar="NAME",
    help="The conversation to open: a login id, '#room' (in quotes) or ALL for everyone.",
)
@option(
    "--plain",
    is_flag=True,
    help="Read and print lines instead of drawing a screen. The default without a terminal.",
)
def connect(login: Credentials, name: str | None, plain: bool) -> None:
    """Open the chat in this terminal.

    A form asks for what is missing, and creates an account for a new id. This machine remembers
    the login, but not the password.
    """
    if plain or not (sys.stdin.isatty() and sys.stdout.isatty()):
        if not login.user:
            raise click.UsageError("--user (or PYCHAT_USER) is required without a screen.")
        talk_in_lines(login, name)
    else:
        open_screen(login, name)


def talk_in_lines(login: Credentials, name: str | None) -> None:
    from pychat.cli.commands.plain import PlainChat, standard_input
    from pychat.cli.output.streams import check_output

    check_output()

    async def talk(client: ChatClient) -> None:
        chat = PlainChat(client, name)
        await chat.run(standard_input())
        if chat.refused:
            raise click.ClickException(_not_done(chat.refused))

    run(login, talk, creates=True)


def _not_done(lines: list[int]) -> str:
    shown = ", ".join(map(str, lines[:10])) + (", …" if len(lines) > 10 else "")
    if len(lines) == 1:
        return f"line {shown} failed"
    return f"{len(lines)} lines failed: {shown}"


def open_screen(login: Credentials, name: str | None) -> None:
    """Open the terminal client at once, from the cache. It has its own login form."""
    # Imports create no garbage, and collecting takes a tenth of the time to the first paint. The
    # app turns collection on again.
    gc.disable()
    from pychat.tui.terminal.terminal import Terminal

    with Terminal() as terminal:
        sys.exit(_run_screen(login, name, terminal))


def _run_screen(login: Credentials, name: str | None, terminal: Terminal) -> int | None:
    from pychat.cli.credentials.accounts import TerminalAccounts
    from pychat.cli.settings.terminal import terminal_settings
    from pychat.client import ChatClientError
    from pychat.client.errors import InvalidAddress
    from pychat.tui.app import ChatApp

    accounts = TerminalAccounts()
    try:
        account = accounts.open(login.server, login.user, login.password)
    except InvalidAddress as error:
        raise click.UsageError(f"{source_of('server')}: {error}.") from None
    except ChatClientError as error:
        raise click.ClickException(str(error)) from None
    app = ChatApp(
        account,
        terminal_settings(),
        conversation=name,
        accounts=accounts,
        terminal=terminal,
    )
    try:
        app.run()
    finally:
        accounts.finish()
    return app.return_code
