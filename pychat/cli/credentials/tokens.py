"""Tokens of earlier logins: in the system keyring, or in files of mode 0600."""

from __future__ import annotations

import os
import re
import stat
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from pychat.cli.settings.places import login_file
from pychat.client.storage.userfile import read_own_file, set_aside

_TOKEN: Final = re.compile(r"[!-~]{1,1000}")


def kept_token(server: str, user: str) -> str | None:
    """None if there is none. Refuses a file that others may read.

    May wait for somebody to unlock the keyring.
    """
    found = find_token(server, user, lambda problem: click.echo(problem, err=True))
    return found() if callable(found) else found


def find_token(
    server: str, user: str, tell: Callable[[str], None]
) -> str | Callable[[], str | None] | None:
    """The token, or where it is in the keyring, how to ask for it, which takes time.

    ``tell`` gets a line about one that cannot be used: there is none then, and one logs in again.
    """
    token = _in_file(server, user, tell)
    if token is None and os.path.exists(_mark(server, user)):
        from pychat.cli.credentials import keyring as systemkeyring

        return lambda: _checked(systemkeyring.read(server, user))
    return token


def _checked(token: object) -> str | None:
    """None for what cannot be a token: files and keyrings may hold anything."""
    return token if isinstance(token, str) and _TOKEN.fullmatch(token) else None


def keep_token(server: str, user: str, token: str) -> None:
    """Replaces the earlier one. With an empty one, none is kept any more."""
    from pychat.cli.credentials import keyring as systemkeyring

    path, mark = _path(server, user), _mark(server, user)
    if token and systemkeyring.write(server, user, token):
        # Without the mark nobody asks the keyring, which takes a while even where there is none.
        mark.touch()
        path.unlink(missing_ok=True)
        return
    if mark.exists():
        systemkeyring.erase(server, user)
        mark.unlink(missing_ok=True)
    keep_without_keyring(server, user, token)


def keep_without_keyring(server: str, user: str, token: str) -> None:
    """As ``keep_token``, but in the file, which goes before what the keyring may still hold."""
    path = _path(server, user)
    if token:
        _to_file(path, token)
    else:
        path.unlink(missing_ok=True)
        _mark(server, user).unlink(missing_ok=True)


def _in_file(server: str, user: str, tell: Callable[[str], None]) -> str | None:
    path = _path(server, user)
    try:
        mode = path.stat().st_mode
        if os.name == "posix" and stat.S_ISREG(mode) and mode & 0o077:
            raise click.ClickException(
                f"others may read the login token in {path} (mode {mode & 0o777:04o}): "
                f"chmod 600 it, or delete it and log in again"
            )
        text = read_own_file(path).decode("ascii").strip()
        if token := _checked(text):
            return token
        problem = "it is damaged" if text else "it is empty"
    except FileNotFoundError:
        return None
    except OSError as error:
        problem = error.strerror or str(error)
    except UnicodeDecodeError:
        problem = "it is damaged"
    aside = set_aside(path)
    where = f" It was set aside as {aside.name}." if aside is not None else ""
    tell(f"Log in again: the login token in {path} cannot be used ({problem}).{where}")
    return None


def _to_file(path: Path, token: str) -> None:
    """Raises ClickException, and leaves nothing behind, where it cannot be written."""
    name = ""
    try:
        # mkstemp makes it with mode 0600; replaced whole, so that nobody reads half a token.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".token-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(token + "\n")
        os.replace(name, path)
    except OSError as error:
        if name:
            Path(name).unlink(missing_ok=True)
        raise click.ClickException(
            f"the login token cannot be written to {path}: {error.strerror}"
        ) from None


def _path(server: str, user: str) -> Path:
    return login_file(server, user, ".token")


def _mark(server: str, user: str) -> Path:
    """An empty file that says that the token is in the keyring."""
    return login_file(server, user, ".keyring")


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
