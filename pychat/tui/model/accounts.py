"""Accounts: how the app comes by the client of another server, id or profile."""

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


CACHE_LOST: Final = "drafts and unsent messages end with this one."
CACHE_IN_USE: Final = f"Another pychat has this login open: {CACHE_LOST}"


@dataclass(frozen=True, slots=True)
class TerminalAccount:
    """``client`` has not been started; ``cache`` is the file that it keeps, ``state`` one for what
    is remembered of it. ``problem``: what went wrong so far, in a line for people."""

    client: ChatClient
    state: Path | None = None
    cache: Path | None = None
    problem: str = ""

    def start(self, *, connect: bool = True) -> list[str]:
        """Starts the client, whatever its cache is like: a damaged one is set aside for a new one,
        and where there can be none, all is kept in memory. Returns what to tell."""
        told = [self.problem] if self.problem else []
        try:
            self.client.start(connect=connect)
        except CacheUnusable as error:
            told.append(self._start_otherwise(error, connect))
        if self.client.cache_locked:
            told.append(CACHE_IN_USE)
        return told

    def _start_otherwise(self, error: CacheUnusable, connect: bool) -> str:
        aside = None
        if isinstance(error, CacheDamaged) and self.cache is not None:
            aside = set_aside(self.cache)
        if self.cache is not None and aside is not None:
            with suppress(CacheUnusable):
                rescued = _rescue(self.cache, aside, self.client)
                self.client.start(connect=connect)
                kept = "unsent messages and drafts were taken over" if rescued else "begun anew"
                what = str(error).partition(";")[0]
                return f"{what}. It was set aside as {aside.name}: {kept}."
        self.client.keep_in_memory()
        self.client.start(connect=connect)
        return f"{error}: {CACHE_LOST}"


def _rescue(cache: Path, damaged: Path, client: ChatClient) -> int:
    from pychat.client.storage.sqlite import (
        SQLiteCache,  # which takes a while, and is seldom needed
    )

    new = SQLiteCache(cache)
    new.open(client.server, client.user)
    try:
        return new.rescue(damaged)
    finally:
        new.close()


class AccountSource(Protocol):
    """Implemented by whoever starts the app: it knows where logins and caches are kept."""

    profiles: dict[str, str]
    """Name → what it stands for, in words: ``asmith on https://chat.example.org``."""

    tell: Callable[[str], None]
    """Is given what goes wrong later, in one line; from any thread."""

    def open(self, server: str, user: str) -> TerminalAccount:
        """Raises ChatClientError, in one line. An empty ``user`` is nobody: nothing is kept."""

    def open_profile(self, name: str) -> TerminalAccount:
        """The same for a profile."""
