"""Checks of ChatServer's options. Without them, a wrong value would silently have no effect."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pychat.protocol import ProtocolError, check_id

_ORIGIN = re.compile(r"https?://[^\s/?#@]+")

_PUBLIC_URL = re.compile(r"https?://[^\s?#@]+")


def check_origins(origins: Sequence[str]) -> None:
    """Check that each origin is ``*`` or in the form that browsers send. Raises ValueError."""
    if isinstance(origins, str) and origins != "*":
        raise ValueError(f"cors_origins must be a list: write [{origins!r}]")
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is not an origin: write it as https://example.org")


def check_admins(admins: Sequence[str]) -> None:
    """Check that each id is valid. Raises ValueError."""
    if isinstance(admins, str):
        raise ValueError(f"admins must be a list: write [{admins!r}]")
    for admin in admins:
        try:
            check_id(admin, repr(admin))
        except ProtocolError as error:
            raise ValueError(str(error)) from None


def check_bytes(name: str, size: int) -> int:
    """Return a number of bytes. Raises ValueError if it is not above 0."""
    if size <= 0:
        raise ValueError(f"{name} must be above 0: not {size}")
    return size


def check_public_url(url: str) -> str:
    """Return the server's public address. Raises ValueError if it is not one."""
    if url and not _PUBLIC_URL.fullmatch(url):
        raise ValueError(
            f"{url!r} is not the address of a server: write it as https://chat.example.org"
        )
    return url


def existing_folder(public: str | Path | None) -> Path | None:
    """Return the folder's path. Raises ValueError if there is no such folder."""
    if public is None:
        return None
    path = Path(public).expanduser()
    if not path.is_dir():
        raise ValueError(f"public must be a folder: {path} is not one")
    return path
