"""Log in for a command: with the stored token, then the password, then a prompt."""

from __future__ import annotations

import asyncio
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


def run(login: Credentials, command: Callable[[ChatClient], Awaitable[None]]) -> None:
    """Run a command with a connected client, and close the client.

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
            return asyncio.run(_run(login, token, password, command))
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
        return asyncio.run(_run(login, None, _ask(login), command))
    except InvalidAddress as error:
        raise click.UsageError(f"{source_of('server')}: {error}.") from None
    except ChatClientError as error:
        raise click.ClickException(str(error)) from None


async def _run(
    login: Credentials,
    token: str | None,
    password: str | None,
    command: Callable[[ChatClient], Awaitable[None]],
) -> None:
    from pychat.cli.credentials.tokens import keep_token
    from pychat.client import ChatClient

    def on_token(new: str) -> None:
        try:
            keep_token(client.server, login.user, new)
        except click.ClickException as error:
            click.echo(f"The login was not stored: {error.message}", err=True)

    client = ChatClient(
        login.server, user=login.user, password=password, token=token, on_token=on_token
    )
    async with client:
        if client.login_result.created:
            click.echo(f"{client.login_result.message}.", err=True)
        await command(client)


def _ask(login: Credentials) -> str:
    """Ask for the password. Not inside the event loop, which would hold back Ctrl+C."""
    from pychat.cli.credentials.password import ask_password

    return ask_password(f"Password of {login.user} (claims the id if it is new)")
