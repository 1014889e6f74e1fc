"""ChatServer's options, checked: one that is wrong would do nothing, and nobody would know why."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pychat.protocol import ProtocolError, check_id

_ORIGIN = re.compile(r"https?://[^\s/?#@]+")


def check_origins(origins: Sequence[str]) -> None:
    """``*``, or what a browser would send. Raises ValueError."""
    if isinstance(origins, str) and origins != "*":
        raise ValueError(f"cors_origins must be a list: write [{origins!r}]")
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is no origin: write it as https://example.org")


def check_admins(admins: Sequence[str]) -> None:
    """Ids that an account may have. Raises ValueError."""
    if isinstance(admins, str):
        raise ValueError(f"admins must be a list: write [{admins!r}]")
    for admin in admins:
        try:
            check_id(admin, repr(admin))
        except ProtocolError as error:
            raise ValueError(str(error)) from None


def existing_folder(public: str | Path | None) -> Path | None:
    """Raises ValueError."""
    if public is None:
        return None
    path = Path(public).expanduser()
    if not path.is_dir():
        raise ValueError(f"public must be a folder: {path} is none")
    return path
