"""Logging in for a command: the kept token first, then the password, then a prompt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from pychat.client import ChatClient


class Login(NamedTuple):
    """Who, where, and the password if one was given without being asked for."""

    server: str
    user: str
    password: str | None


def run(main: Coroutine[Any, Any, None]) -> None:
    """Runs a client's command; what the client raises is the command's one line of failure."""
    from pychat.client.errors import ChatClientError

    try:
        asyncio.run(main)
    except ChatClientError as error:
        raise click.ClickException(str(error)) from None


@asynccontextmanager
async def logged_in(login: Login) -> AsyncIterator[ChatClient]:
    """A client that is connected. Raises ChatClientError, or ClickException without a password."""
    client = await _connected(login)
    try:
        yield client
    finally:
        await client.close()


async def _connected(login: Login) -> ChatClient:
    from pychat.cli.password import WAYS, can_ask
    from pychat.cli.tokens import kept_token
    from pychat.client.address import normalized_address
    from pychat.client.errors import LoginRefused

    token = kept_token(normalized_address(login.server), login.user)
    password = login.password
    if token is None and password is None:
        # Open accounts need none, so a script is not stopped before the server has said so.
        password = _ask(login) if can_ask() else ""
    try:
        return await _attempt(login, token, password)
    except LoginRefused as refusal:
        if login.password is not None or (token is None and can_ask()):
            raise
        if not can_ask():
            why = "needs a password" if token is None else f"must log in again ({refusal})"
            raise click.ClickException(f"{login.user} {why}: {WAYS}") from None
    return await _attempt(login, None, _ask(login))


async def _attempt(login: Login, token: str | None, password: str | None) -> ChatClient:
    from pychat.cli.tokens import keep_token
    from pychat.client import ChatClient

    def on_token(new: str) -> None:
        keep_token(client.server, login.user, new)

    client = ChatClient(
        login.server, user=login.user, password=password, token=token, on_token=on_token
    )
    await client.connect()
    return client


def _ask(login: Login) -> str:
    from pychat.cli.password import ask_password

    return ask_password(f"Password of {login.user} (claims the id if it is new)")
