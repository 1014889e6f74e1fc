"""The tokens of earlier logins: a file of mode 0600 for each server and user."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from pychat.cli.places import login_file


def kept_token(server: str, user: str) -> str | None:
    """None if there is none. Refuses a file that others may read."""
    path = _path(server, user)
    try:
        mode = path.stat().st_mode
        if os.name == "posix" and mode & 0o077:
            raise click.ClickException(
                f"others may read the login token in {path} (mode {mode & 0o777:04o}): "
                f"chmod 600 it, or delete it and log in again"
            )
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise click.ClickException(f"the login token in {path} cannot be read: {error}") from None


def keep_token(server: str, user: str, token: str) -> None:
    """Replaces the earlier one. An empty token (open accounts) is not kept."""
    path = _path(server, user)
    if not token:
        path.unlink(missing_ok=True)
        return
    # mkstemp makes it with mode 0600; replaced whole, so that nobody reads half a token.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".token-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(token + "\n")
    os.replace(name, path)


def _path(server: str, user: str) -> Path:
    return login_file(server, user, ".token")
