"""Where pychat keeps its files: the platform's data folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import click

NAME: Final = "pychat"


def data_folder() -> Path:
    """Made if need be, for its owner only."""
    from platformdirs import user_data_path

    return _made(user_data_path(NAME, appauthor=False))


def default_store() -> str:
    """The address of the server's own SQLite file."""
    from platformdirs import user_data_path

    return f"sqlite:///{user_data_path(NAME, appauthor=False) / 'server.db'}"


def make_folder(store: str) -> None:
    """The data folder, if the store is to lie in it: another folder is the user's to make."""
    if store == default_store():
        data_folder()


def login_file(server: str, user: str, suffix: str) -> Path:
    """The file of this (server, user): a digest, since ids may hold what file names may not."""
    digest = hashlib.sha256(f"{server}\n{user}".encode()).hexdigest()[:32]
    return _made(data_folder() / "logins") / f"{digest}{suffix}"


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"the folder {folder} cannot be made: {error}") from None
    return folder
