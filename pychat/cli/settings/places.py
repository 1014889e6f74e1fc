"""Where pychat keeps its files: in the platform's data folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import click

NAME: Final = "pychat"


def data_folder() -> Path:
    """The data folder. Created if necessary, accessible only to its owner."""
    from platformdirs import user_data_path

    return _made(user_data_path(NAME, appauthor=False))


def default_store() -> str:
    """The address of the server's default SQLite file."""
    from platformdirs import user_data_path

    return f"sqlite:///{user_data_path(NAME, appauthor=False) / 'server.db'}"


def make_folder(store: str) -> None:
    """Create the data folder if the store lies in it. Users create other folders themselves."""
    if store == default_store():
        data_folder()


def login_file(server: str, user: str, suffix: str) -> Path:
    """The file of this (server, user). Named by a digest: ids may contain any character."""
    digest = hashlib.sha256(f"{server}\n{user}".encode()).hexdigest()[:32]
    return _made(data_folder() / "logins") / f"{digest}{suffix}"


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"cannot create the folder {folder}: {error}") from None
    return folder
