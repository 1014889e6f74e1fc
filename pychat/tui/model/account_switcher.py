"""AccountChanges: goes from one account to another while the app runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pychat.client.errors import ChatClientError
from pychat.client.models import ConnectionState
from pychat.protocol import canonical_id
from pychat.tui.model.accounts import TerminalAccount
from pychat.tui.text.names import line

if TYPE_CHECKING:
    from textual.worker import Worker

    from pychat.client import ChatClient
    from pychat.tui.app import ChatApp


class AccountSwitcher:
    """One at a time, to its end: a client that is not closed yet holds its cache file.

    The account that was left goes on until the next one is let in, so that one can go back.
    """

    def __init__(self, app: ChatApp) -> None:
        self._app = app
        self._one_at_a_time = asyncio.Lock()
        self._left: _Left | None = None

    @property
    def way_back(self) -> str:
        """The id that one can go back to; empty where there is none."""
        return self._left.account.client.user if self._left is not None else ""

    def is_left(self, server: str, user: str) -> bool:
        """Whether one would go back to this account."""
        return self._left is not None and _who(self._left.account.client) == (
            server,
            canonical_id(user),
        )

    def to_profile(self, name: str) -> None:
        """Goes to another account; what goes wrong is told, and this one stays."""
        self._run(partial(self._to_profile, name))

    def to(self, account: TerminalAccount) -> None:
        """Goes to this account, which is logged in; the client before it is closed."""
        self._run(partial(self._to, account))

    def back(self) -> None:
        """Goes to where one was before, if this one has not been let in yet."""
        self._run(self._back)

    def let_in(self) -> None:
        """This account is logged in: nobody goes back from it."""
        if self._left is not None:
            self._run(self._arrive)

    def _run(self, change: Callable[[], Coroutine[None, None, None]]) -> None:
        """Given the function: a coroutine would be left over where the app ends before its turn."""
        _: Worker[None] = self._app.run_worker(change, group="account")

    async def _to_profile(self, name: str) -> None:
        assert self._app.accounts is not None
        async with self._one_at_a_time:
            try:
                account = self._app.accounts.open_profile(name)
            except ChatClientError as error:
                self._app.notify(line(str(error), 300), severity="warning", markup=False)
                return
            if _who(account.client) == _who(self._app.client):
                self._app.notify(f"This is {line(name)}.", markup=False)
            elif self.is_left(account.client.server, account.client.user):
                await self._return()
            else:
                await self._change(account)

    async def _to(self, account: TerminalAccount) -> None:
        async with self._one_at_a_time:
            await self._change(account)

    async def _back(self) -> None:
        async with self._one_at_a_time:
            await self._return()

    async def _arrive(self) -> None:
        async with self._one_at_a_time:
            if self._app.client.status.state is ConnectionState.ONLINE:
                await self.close()

    async def _change(self, account: TerminalAccount) -> None:
        client = account.client
        left = _Left(self._app.account, self._app.chat.current)
        events = client.events()
        try:
            problems = account.start()  # nothing, where it has been
        except ChatClientError as error:
            await client.close()
            self._app.notify(line(str(error), 300), severity="warning", markup=False)
            return
        await self.close()
        self._left = left
        await self._app.take_account(account, events)
        if client.status.state is ConnectionState.ONLINE:
            await self.close()
        for problem in problems:
            self._app.warn(problem)

    async def _return(self) -> None:
        if self._left is None:
            return
        leaving, left, self._left = self._app.client, self._left, None
        await self._app.take_account(left.account, left.account.client.events())
        if left.conversation:
            self._app.chat.open(left.conversation)
        await leaving.close()

    async def close(self) -> None:
        """Ends the account that was left, if it goes on."""
        left, self._left = self._left, None
        if left is not None:
            await left.account.client.close()


@dataclass(frozen=True, slots=True)
class _Left:
    """Where one was."""

    account: TerminalAccount
    conversation: str


def _who(client: ChatClient) -> tuple[str, str]:
    """The same for every way in which the id may be written."""
    return client.server, canonical_id(client.user)
