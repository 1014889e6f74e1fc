"""The accounts that the terminal client can switch to, with their tokens and caches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import click

from pychat.cli.credentials.password import password_from_file
from pychat.cli.credentials.tokens import TokenKeeper, find_token
from pychat.cli.settings import files as settings
from pychat.cli.settings.files import login_file
from pychat.cli.settings.options import DEFAULT_SERVER
from pychat.client import ChatClient, ChatClientError
from pychat.client.connection.address import normalized_address
from pychat.tui.model.accounts import TerminalAccount

LAST_PATIENCE: Final = 1.5
"""Seconds to wait at exit until the keyring has stored a token."""


class TerminalAccounts:
    """``pychat.tui.model.accounts.Accounts`` for this user."""

    def __init__(self) -> None:
        self.tell: Callable[[str], None] = lambda text: click.echo(text, err=True)
        self._keepers: list[TokenKeeper] = []
        outside = {"server": DEFAULT_SERVER} | settings.own_login()
        self._profiles = {name: outside | keys for name, keys in settings.profiles().items()}
        self.profiles = {
            name: f"{keys['user']} on {keys['server']}"
            for name, keys in self._profiles.items()
            if "user" in keys
        }

    def open(self, server: str, user: str, password: str | None = None) -> TerminalAccount:
        server = normalized_address(server)
        if not user:
            return TerminalAccount(ChatClient(server, user=user, create=False))
        keeper = TokenKeeper(server, user, lambda text: self.tell(text))
        self._keepers.append(keeper)
        problems: list[str] = []
        try:
            cache = login_file(server, user, ".db")
            client = ChatClient(
                server,
                user=user,
                password=password,
                token=find_token(server, user, problems.append),
                create=False,
                cache=cache,
                on_token=keeper.keep,
            )
            state = login_file(server, user, ".json")
            return TerminalAccount(client, state, cache, " ".join(problems))
        except click.ClickException as error:
            raise ChatClientError(error.format_message()) from None

    def open_profile(self, name: str) -> TerminalAccount:
        """Does not run the profile's password-command, which may need the terminal."""
        keys = self._profiles[name]
        try:
            file = keys.get("password-file")
            password = password_from_file(file) if file is not None else None
        except click.ClickException as error:
            raise ChatClientError(error.format_message()) from None
        return self.open(keys["server"], keys["user"], password)

    def finish(self) -> None:
        """Store all tokens before the process exits, in files if the keyring takes too long."""
        deadline = time.monotonic() + LAST_PATIENCE
        for keeper in self._keepers:
            keeper.finish(deadline)
