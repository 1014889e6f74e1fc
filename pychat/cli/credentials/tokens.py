"""Store login tokens in the system keyring, or in files of mode 0600."""

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

from pychat.cli.settings.files import login_file
from pychat.client.storage.userfile import read_own_file, set_aside

_TOKEN: Final = re.compile(r"[!-~]{1,1000}")


def kept_token(server: str, user: str) -> str | None:
    """The stored token, or None. Refuses a file that other users can read.

    May wait until the user unlocks the keyring.
    """
    found = find_token(server, user, lambda problem: click.echo(problem, err=True))
    return found() if callable(found) else found


def find_token(
    server: str, user: str, tell: Callable[[str], None]
) -> str | Callable[[], str | None] | None:
    """The token, or a function that asks the keyring for it, which takes time.

    ``tell`` receives a line about a token that cannot be used. The result is None then.
    """
    token = _in_file(server, user, tell)
    if token is None and os.path.exists(_mark(server, user)):
        from pychat.cli.credentials import keyring as systemkeyring

        return lambda: _checked(systemkeyring.read(server, user))
    return token


def _checked(token: object) -> str | None:
    """The text if it has the form of a token, otherwise None."""
    return token if isinstance(token, str) and _TOKEN.fullmatch(token) else None


def keep_token(server: str, user: str, token: str) -> None:
    """Replace the stored token. An empty one deletes it."""
    from pychat.cli.credentials import keyring as systemkeyring

    path, mark = _path(server, user), _mark(server, user)
    if token and systemkeyring.write(server, user, token):
        # Without the mark the keyring is not asked, which takes time even if it has no token.
        mark.touch()
        path.unlink(missing_ok=True)
        return
    if mark.exists():
        systemkeyring.erase(server, user)
        mark.unlink(missing_ok=True)
    keep_without_keyring(server, user, token)


def keep_without_keyring(server: str, user: str, token: str) -> None:
    """Like ``keep_token``, but in the file, which is used before the keyring."""
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
                f"other users can read the login token in {path} (mode {mode & 0o777:04o}): "
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
    """Write the file. Raises ClickException and leaves nothing behind if that fails."""
    name = ""
    try:
        # mkstemp creates it with mode 0600. Renaming makes sure that no reader sees half a token.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".token-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(token + "\n")
        os.replace(name, path)
    except OSError as error:
        if name:
            Path(name).unlink(missing_ok=True)
        raise click.ClickException(
            f"cannot write the login token to {path}: {error.strerror}"
        ) from None


def _path(server: str, user: str) -> Path:
    return login_file(server, user, ".token")


def _mark(server: str, user: str) -> Path:
    """An empty file marks that the token is in the keyring."""
    return login_file(server, user, ".keyring")


class TokenKeeper:
    """Store tokens without waiting for the keyring.

    The keyring may wait until the user unlocks it, so a daemon thread asks it. ``tell`` receives
    errors as one line, from that thread.
    """

    def __init__(self, server: str, user: str, tell: Callable[[str], None]) -> None:
        self._login = (server, user)
        self._tell = tell
        self._newest = ""
        self._one_at_a_time = threading.Lock()
        self._threads: list[threading.Thread] = []

    def keep(self, token: str) -> None:
        """Replace the stored token. An empty one deletes it."""
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
            self._tell(f"The login could not be stored: {error}")

    def finish(self, deadline: float) -> None:
        """Store what the keyring has not taken by ``deadline`` (``time.monotonic``) in a file."""
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            self._told(keep_without_keyring, self._newest)
