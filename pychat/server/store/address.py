"""Store addresses: open the store that ``--store`` names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pychat.server.store.base import Durability, InvalidStoreAddress, Store

FORMS = "sqlite:///path/to/chat.db, mongodb://host:27017/database or memory:"


def open_store(
    url: str, *, exclusive: bool = True, create: bool = True, durability: Durability = "full"
) -> Store:
    """Return the store at this address; the caller awaits its ``open()``.

    ``exclusive``: lock the store as a server does, so that a second server is refused. Without it
    the caller may only change accounts, like ``pychat user`` beside a running server.
    ``create``: create a missing store. Raises InvalidStoreAddress.
    """
    scheme, colon, rest = url.partition(":")
    match scheme.lower() if colon else "":
        case "memory" if rest in ("", "//"):
            from pychat.server.store.memory import MemoryStore

            return MemoryStore()
        case "sqlite":
            path = sqlite_path(url)
            from pychat.server.store.sqlite import SQLiteStore

            return SQLiteStore(path, exclusive=exclusive, create=create, durability=durability)
        case "mongodb" | "mongodb+srv":
            from pychat.server.store.mongodb import MongoStore

            return MongoStore(url, exclusive=exclusive, create=create)
    raise InvalidStoreAddress(f"not a store address: {_without_password(url)} (write {FORMS})")


def sqlite_path(url: str) -> Path:
    """Return the path of a SQLite address: ``sqlite:///relative.db``, ``sqlite:////absolute.db``.
    Raises InvalidStoreAddress."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    file = Path(path[1:]).expanduser()
    if parts.netloc or not path.startswith("/") or not file.name or parts.query or parts.fragment:
        raise InvalidStoreAddress(
            f"not the address of a SQLite file: {url} (write sqlite:///path/to/chat.db)"
        )
    return file


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.partition('://')[0]}://…@{tail}" if at else url
