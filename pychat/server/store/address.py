"""Store addresses: which store ``--store`` means."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from pychat.server.store.base import InvalidStoreAddress, Store

Durability = Literal["full", "normal"]

FORMS = "sqlite:///path/to/chat.db, mongodb://host:27017/database or memory:"


def open_store(
    url: str, *, exclusive: bool = True, create: bool = True, durability: Durability = "full"
) -> Store:
    """The store at this address; ``await store.open()`` opens it.

    ``exclusive``: a server's hold on it; a second one is refused. Without it, only accounts may
    be changed (``pychat user`` beside a running server). ``create``: a store that is not there is
    made. ``durability``: ``full`` survives a lost power, ``normal`` a killed
    process. Raises InvalidStoreAddress.
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
    raise InvalidStoreAddress(f"not a store's address: {_without_password(url)} (write {FORMS})")


def sqlite_path(url: str) -> Path:
    """``sqlite:///relative.db`` is relative, ``sqlite:////absolute.db`` is not (as elsewhere).
    Raises InvalidStoreAddress."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    file = Path(path[1:]).expanduser()
    if parts.netloc or not path.startswith("/") or not file.name or parts.query or parts.fragment:
        raise InvalidStoreAddress(
            f"not a SQLite file's address: {url} (write sqlite:///path/to/chat.db)"
        )
    return file


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.partition('://')[0]}://…@{tail}" if at else url
