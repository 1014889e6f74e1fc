"""Accounts: how the app comes by the client of another server, id or profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pychat.client import ChatClient


@dataclass(frozen=True, slots=True)
class Account:
    """``client`` has not been started; ``state`` is a file for what is remembered of it."""

    client: ChatClient
    state: Path | None = None


class Accounts(Protocol):
    """Implemented by whoever starts the app: it knows where logins and caches are kept."""

    profiles: dict[str, str]
    """Name → what it stands for, in words: ``asmith on https://chat.example.org``."""

    tell: Callable[[str], None]
    """Is given what goes wrong later, in one line; from any thread."""

    def open(self, server: str, user: str) -> Account:
        """Raises ChatClientError, in one line. An empty ``user`` is nobody: nothing is kept."""

    def open_profile(self, name: str) -> Account:
        """The same for a profile."""
