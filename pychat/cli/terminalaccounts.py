"""The accounts that the terminal client may go to: tokens, caches and profiles of this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable

import click

from pychat.cli import settings
from pychat.cli.options import DEFAULT_SERVER
from pychat.cli.password import password_from_file
from pychat.cli.places import login_file
from pychat.cli.tokens import find_token, keep_token
from pychat.client import ChatClient, ChatClientError
from pychat.client.address import normalized_address
from pychat.tui.accounts import Account


class TerminalAccounts:
    """``pychat.tui.accounts.Accounts`` for this user."""

    def __init__(self) -> None:
        self.tell: Callable[[str], None] = lambda text: click.echo(text, err=True)
        outside = {"server": DEFAULT_SERVER} | settings.own_login()
        self._profiles = {name: outside | keys for name, keys in settings.profiles().items()}
        self.profiles = {
            name: f"{keys['user']} on {keys['server']}"
            for name, keys in self._profiles.items()
            if "user" in keys
        }

    def open(self, server: str, user: str, password: str | None = None) -> Account:
        server = normalized_address(server)
        one_at_a_time = threading.Lock()
        newest = ""

        def keep(token: str) -> None:
            try:
                with one_at_a_time:
                    if token == newest:
                        keep_token(server, user, token)
            except (click.ClickException, OSError) as error:
                self.tell(f"The login could not be kept: {error}")

        def on_token(token: str) -> None:
            nonlocal newest
            newest = token
            # The keyring may wait for somebody to unlock it.
            threading.Thread(target=keep, args=(token,), name="pychat-keep-token").start()

        try:
            return Account(
                ChatClient(
                    server,
                    user=user,
                    password=password,
                    token=find_token(server, user),
                    cache=login_file(server, user, ".db"),
                    on_token=on_token,
                ),
                login_file(server, user, ".json"),
            )
        except click.ClickException as error:
            raise ChatClientError(error.format_message()) from None

    def open_profile(self, name: str) -> Account:
        """Its password-command is not run: it may ask on the terminal, which is taken."""
        keys = self._profiles[name]
        try:
            file = keys.get("password-file")
            password = password_from_file(file) if file is not None else None
        except click.ClickException as error:
            raise ChatClientError(error.format_message()) from None
        return self.open(keys["server"], keys["user"], password)
