"""TokenKeeper: keeps the newest token of one login, without waiting for the keyring."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import click

from pychat.cli.tokens import keep_token, keep_without_keyring


class TokenKeeper:
    """The keyring may wait for somebody to unlock it: it is asked in a thread, which keeps no
    process from ending. ``tell`` gets what goes wrong, in one line, from that thread."""

    def __init__(self, server: str, user: str, tell: Callable[[str], None]) -> None:
        self._login = (server, user)
        self._tell = tell
        self._newest = ""
        self._one_at_a_time = threading.Lock()
        self._threads: list[threading.Thread] = []

    def keep(self, token: str) -> None:
        """Replaces the earlier one. With an empty one, none is kept any more."""
        self._newest = token
        thread = threading.Thread(
            target=self._keep, args=(token,), name="pychat-keep-token", daemon=True
        )
        self._threads = [each for each in self._threads if each.is_alive()] + [thread]
        thread.start()

    def _keep(self, token: str) -> None:
        with self._one_at_a_time:
            if token == self._newest:
                self._told(keep_token, token)

    def _told(self, keep: Callable[[str, str, str], None], token: str) -> None:
        try:
            keep(*self._login, token)
        except (click.ClickException, OSError) as error:
            self._tell(f"The login could not be kept: {error}")

    def finish(self, deadline: float) -> None:
        """The process is about to end: what the keyring has not taken by then (as
        ``time.monotonic`` counts) is kept in a file."""
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            self._told(keep_without_keyring, self._newest)
