"""Log in for a command: with the stored token, then the password, then a prompt."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from pychat.client import ChatClient


class Credentials(NamedTuple):
    """Server, user, and the password if one was given without a prompt."""

    server: str
    user: str
    password: str | None


def run(
    login: Credentials,
    command: Callable[[ChatClient], Awaitable[None]],
    *,
    creates: bool = False,
) -> None:
    """Run a command with a connected client, and close the client.

    ``creates``: whether the command may create the account. A user at the terminal is asked first.

    Raises ClickException with the client's error.
    """
    from pychat.cli.credentials.password import WAYS, can_ask
    from pychat.cli.credentials.tokens import kept_token
    from pychat.cli.settings.options import source_of
    from pychat.client.connection.address import normalized_address
    from pychat.client.errors import ChatClientError, InvalidAddress, LoginRefused
    from pychat.protocol import Code

    try:
        token = kept_token(normalized_address(login.server), login.user)
        password = login.password
        if token is None and password is None:
            # Open accounts need no password: ask the server before a script fails.
            password = _ask(login) if can_ask() else ""
        try:
            return _log_in(login, token, password, command, creates)
        except LoginRefused as refusal:
            if refusal.code == Code.FORBIDDEN:
                raise click.ClickException(
                    f"{login.user} may not log in ({refusal}): the operator can allow it with "
                    f"'pychat user enable'"
                ) from None
            if login.password is not None or (token is None and can_ask()):
                raise
            if not can_ask():
                why = "needs a password" if token is None else f"must log in again ({refusal})"
                raise click.ClickException(f"{login.user} {why}: {WAYS}") from None
        return _log_in(login, None, _ask(login), command, creates)
    except InvalidAddress as error:
        raise click.UsageError(f"{source_of('server')}: {error}.") from None
    except ChatClientError as error:
        raise click.ClickException(str(error)) from None


def _log_in(
    login: Credentials,
    token: str | None,
    password: str | None,
    command: Callable[[ChatClient], Awaitable[None]],
    creates: bool,
) -> None:
    """Log in and run the command. Create the account if there is none and the command may."""
    from pychat.cli.credentials.password import can_ask
    from pychat.cli.settings.options import DEFAULT_SERVER
    from pychat.client.errors import LoginRefused
    from pychat.protocol import Code

    try:
        return asyncio.run(_run(login, token, password, command, create=False))
    except LoginRefused as refusal:
        if refusal.code != Code.NOT_FOUND:
            raise
        if not creates:
            at = "" if login.server == DEFAULT_SERVER else f" --server {shlex.quote(login.server)}"
            raise click.ClickException(
                f"there is no account {login.user} on {login.server}. Check the id, or create the "
                f"account: pychat connect --user {shlex.quote(login.user)}{at}"
            ) from None
        question = f"There is no account {login.user} on {login.server}. Create it?"
        if can_ask() and not click.confirm(question, err=True):
            raise click.ClickException("no account was created") from None
    return asyncio.run(_run(login, None, password, command, create=True))


async def _run(
    login: Credentials,
    token: str | None,
    password: str | None,
    command: Callable[[ChatClient], Awaitable[None]],
    *,
    create: bool,
) -> None:
    from pychat.cli.credentials.tokens import keep_token
    from pychat.client import ChatClient

    def on_token(new: str) -> None:
        try:
            keep_token(client.server, login.user, new)
        except click.ClickException as error:
            click.echo(f"The login was not stored: {error.message}", err=True)

    client = ChatClient(
        login.server,
        user=login.user,
        password=password,
        token=token,
        create=create,
        on_token=on_token,
    )
    async with client:
        if client.login_result.created:
            click.echo(f"{client.login_result.message}.", err=True)
        await command(client)


def _ask(login: Credentials) -> str:
    """Ask for the password. Not inside the event loop, which would hold back Ctrl+C."""
    from pychat.cli.credentials.password import ask_password

    return ask_password(f"Password of {login.user}")
