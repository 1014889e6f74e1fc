"""Accounts that the terminal client can use, and AccountSwitcher, which changes between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from pychat.client.errors import CacheDamaged, CacheUnusable, ChatClientError
from pychat.client.events import ClientEvent
from pychat.client.models import ConnectionState
from pychat.client.storage.userfile import set_aside
from pychat.protocol import canonical_id
from pychat.tui.text.names import line

if TYPE_CHECKING:
    from pychat.client import ChatClient

CACHE_LOST: Final = "drafts and unsent messages will be lost when pychat quits"
CACHE_IN_USE: Final = f"This account is open in another pychat: {CACHE_LOST}"


@dataclass(frozen=True, slots=True)
class TerminalAccount:
    """A client that has not been started, and its files.

    ``cache``: the file that the client keeps. ``state``: the file of the settings changed in the
    app (``SavedState``). ``problem``: what went wrong so far, as one line for the user.
    """

    client: ChatClient
    state: Path | None = None
    cache: Path | None = None
    problem: str = ""

    def start(self, *, connect: bool = True) -> list[str]:
        """Start the client and return the problems to show.

        A damaged cache is set aside and replaced. Without a usable cache, everything is kept in
        memory.
        """
        problems = [self.problem] if self.problem else []
        try:
            self.client.start(connect=connect)
        except CacheUnusable as error:
            problems.append(self._start_without_cache(error, connect))
        if self.client.cache_locked:
            problems.append(CACHE_IN_USE)
        return problems

    def _start_without_cache(self, error: CacheUnusable, connect: bool) -> str:
        aside = None
        if isinstance(error, CacheDamaged) and self.cache is not None:
            aside = set_aside(self.cache)
        if self.cache is not None and aside is not None:
            with suppress(CacheUnusable):
                rescued = _rescue(self.cache, aside, self.client)
                self.client.start(connect=connect)
                result = (
                    "unsent messages and drafts were recovered"
                    if rescued
                    else "a new one was created"
                )
                what = str(error).partition(";")[0]
                return f"{what}. It was renamed to {aside.name}; {result}"
        self.client.keep_in_memory()
        self.client.start(connect=connect)
        return f"{error}: {CACHE_LOST}"


def _rescue(cache: Path, damaged: Path, client: ChatClient) -> int:
    # Imported here: it takes a while and is rarely needed.
    from pychat.client.storage.sqlite import SQLiteCache

    new = SQLiteCache(cache)
    new.open(client.server, client.user)
    try:
        return new.rescue(damaged)
    finally:
        new.close()


class AccountSource(Protocol):
    """Opens accounts. The program that starts the app implements it and knows where files are."""

    profiles: dict[str, str]
    """Name of each profile, and its description: ``asmith on https://chat.example.org``."""

    tell: Callable[[str], None]
    """Called with problems that occur later, as one line each; from any thread."""

    def open(self, server: str, user: str) -> TerminalAccount:
        """Open an account. An empty ``user`` is anonymous: nothing is stored.

        Raises ChatClientError with one line for the user.
        """

    def open_profile(self, name: str) -> TerminalAccount:
        """Open the account of a profile. Raises ChatClientError as ``open`` does."""


class AccountDisplay(Protocol):
    """What shows the account; the app implements it."""

    account: TerminalAccount

    @property
    def current_conversation(self) -> str:
        """Name of the open conversation; empty if none is open."""

    async def show_account(
        self, account: TerminalAccount, events: AsyncIterator[ClientEvent], conversation: str
    ) -> None:
        """Show another account, with this conversation open unless the name is empty."""

    def run_in_background(self, task: Callable[[], Coroutine[None, None, None]]) -> None: ...
    def inform(self, text: str) -> None: ...
    def warn(self, problem: str) -> None: ...


class AccountSwitcher:
    """Switch accounts, one switch at a time: an open client locks its cache file.

    The previous account stays connected until the new one is logged in, so that the user can go
    back. ``source`` opens accounts; None if there is only one.
    """

    def __init__(self, display: AccountDisplay, source: AccountSource | None) -> None:
        self._display = display
        self.source = source
        self._one_at_a_time = asyncio.Lock()
        self._previous: _Previous | None = None

    @property
    def previous_user(self) -> str:
        """Id of the account that the user can go back to; empty if there is none."""
        return self._previous.account.client.user if self._previous is not None else ""

    def is_previous(self, server: str, user: str) -> bool:
        """Whether the user can go back to this account."""
        return self._previous is not None and _identity(self._previous.account.client) == (
            server,
            canonical_id(user),
        )

    def open_profile(self, name: str) -> None:
        """Switch to the account of a profile. If that fails, the current account stays."""
        self._display.run_in_background(partial(self._open_profile, name))

    def switch_to(self, account: TerminalAccount) -> None:
        """Switch to an account that is logged in, and close the current one."""
        self._display.run_in_background(partial(self._switch_to, account))

    def go_back(self) -> None:
        """Return to the previous account, if the current one has not logged in yet."""
        self._display.run_in_background(self._go_back)

    def logged_in(self) -> None:
        """Close the previous account: the current one is logged in."""
        if self._previous is not None:
            self._display.run_in_background(self._logged_in)

    async def _open_profile(self, name: str) -> None:
        assert self.source is not None
        async with self._one_at_a_time:
            try:
                account = self.source.open_profile(name)
            except ChatClientError as error:
                self._display.warn(str(error))
                return
            if _identity(account.client) == _identity(self._display.account.client):
                self._display.inform(f"You are already logged in to {line(name)}")
            elif self.is_previous(account.client.server, account.client.user):
                await self._return()
            else:
                await self._change(account)

    async def _switch_to(self, account: TerminalAccount) -> None:
        async with self._one_at_a_time:
            await self._change(account)

    async def _go_back(self) -> None:
        async with self._one_at_a_time:
            await self._return()

    async def _logged_in(self) -> None:
        async with self._one_at_a_time:
            if self._display.account.client.status.state is ConnectionState.ONLINE:
                await self.close()

    async def _change(self, account: TerminalAccount) -> None:
        client = account.client
        previous = _Previous(self._display.account, self._display.current_conversation)
        events = client.events()
        try:
            problems = account.start()  # does nothing if it has been started
        except ChatClientError as error:
            await client.close()
            self._display.warn(str(error))
            return
        await self.close()
        self._previous = previous
        await self._display.show_account(account, events, "")
        if client.status.state is ConnectionState.ONLINE:
            await self.close()
        for problem in problems:
            self._display.warn(problem)

    async def _return(self) -> None:
        if self._previous is None:
            return
        leaving, previous, self._previous = self._display.account.client, self._previous, None
        account = previous.account
        await self._display.show_account(account, account.client.events(), previous.conversation)
        await leaving.close()

    async def close(self) -> None:
        """Close the previous account, if it is still open."""
        previous, self._previous = self._previous, None
        if previous is not None:
            await previous.account.client.close()


@dataclass(frozen=True, slots=True)
class _Previous:
    """The account before the current one, and the conversation that was open."""

    account: TerminalAccount
    conversation: str


def _identity(client: ChatClient) -> tuple[str, str]:
    """The server and the id, the same for every spelling of the id."""
    return client.server, canonical_id(client.user)
