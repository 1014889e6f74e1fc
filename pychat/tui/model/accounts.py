"""Accounts: an account with its files, and the interface that opens other ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from pychat.client.errors import CacheDamaged, CacheUnusable
from pychat.client.storage.userfile import set_aside

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
