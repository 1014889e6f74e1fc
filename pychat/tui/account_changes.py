"""AccountChanges: goes from one account to another while the app runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING

from pychat.client.errors import ChatClientError
from pychat.protocol import canonical_id
from pychat.tui.accounts import Account
from pychat.tui.names import line

if TYPE_CHECKING:
    from textual.worker import Worker

    from pychat.client import ChatClient
    from pychat.tui.app import ChatApp

CACHE_LOST = "drafts and unsent messages end with this one."
CACHE_IN_USE = f"Another pychat has this login open: {CACHE_LOST}"


class AccountChanges:
    """One at a time, to its end: a client that is not closed yet holds its cache file."""

    def __init__(self, app: ChatApp) -> None:
        self._app = app
        self._one_at_a_time = asyncio.Lock()

    def to_profile(self, name: str) -> None:
        """Goes to another account; what goes wrong is told, and this one stays."""
        self._run(partial(self._to_profile, name))

    def to(self, account: Account) -> None:
        """Goes to this account; the client before it is closed."""
        self._run(partial(self._to, account))

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
            else:
                await self._change(account)

    async def _to(self, account: Account) -> None:
        async with self._one_at_a_time:
            await self._change(account)

    async def _change(self, account: Account) -> None:
        before, client = self._app.client, account.client
        events = client.events()
        try:
            client.start()  # nothing, where it has been
        except ChatClientError as error:
            await client.close()
            self._app.notify(line(str(error), 300), severity="warning", markup=False)
            return
        await self._app.take_account(account, events)
        await before.close()
        if client.cache_in_use:
            self._app.notify(CACHE_IN_USE, severity="warning", timeout=10, markup=False)


def _who(client: ChatClient) -> tuple[str, str]:
    """The same for every way in which the id may be written."""
    return client.server, canonical_id(client.user)
