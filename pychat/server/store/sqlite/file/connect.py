"""Connections to the database file, and SQLite's errors as StoreErrors."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path

from pychat.server.store.base import Durability, StoreDamaged, StoreUnavailable

BUSY_TIMEOUT_SECONDS = 10.0
WRITER_CACHE_KIB = 65_536
READER_CACHE_KIB = 16_384
CHECKPOINT_PAGES = 4_000
SHARED_MEMORY_BYTES = 32_768


def connect_writer(path: Path, durability: Durability, *, wal: bool) -> sqlite3.Connection:
    """Return a connection for one thread, which begins and ends transactions explicitly. ``wal``:
    switch the file to WAL mode, as a server does, until ``leave_wal_mode``."""
    connection = _connect(path)
    try:
        if wal:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {durability.upper()}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
    except BaseException:
        connection.close()
        raise
    return connection


def leave_wal_mode(connection: sqlite3.Connection) -> None:
    """Switch the file back from WAL mode, so that its header tells a closed file, or a copy of
    one, from a file with a log (``backup.check_leftovers``). Does nothing while another process
    has the file open."""
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA journal_mode = DELETE")


def connect_reader(path: Path) -> sqlite3.Connection:
    """Return a read-only connection. In WAL mode it never waits for the writer."""
    connection = _connect(path)
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    # mode=rw: do not create a file that has disappeared.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether the file is corrupt, so that trying again does not help."""
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or _is_not_text(error)


def _is_not_text(error: sqlite3.Error) -> bool:
    # Raised by Python, without a code, and with the bytes in its message.
    return str(error).startswith("Could not decode to UTF-8")


def _code(error: sqlite3.Error) -> int:
    # The low byte of an extended code is the primary code (https://sqlite.org/rescode.html).
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF


def explain(error: sqlite3.Error, path: Path) -> str:
    """Return one line that says what is wrong with the file and, if possible, what to do."""
    if _is_not_text(error):
        return f"{path} is damaged (a text is not UTF-8): run `pychat store check` for details"
    match _code(error):
        case sqlite3.SQLITE_FULL:
            return f"the disk is full: {path} cannot grow"
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return f"{path} is damaged ({error}): run `pychat store check` for details"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"{path} is locked by another process"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return f"cannot write {path}: {error}"
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_CANTOPEN:
            # SQLite reports this, too, if the disk has no room for the shared memory file.
            if free_bytes(path) < SHARED_MEMORY_BYTES:
                return f"the disk is full: {path} cannot be opened"
            return f"cannot read or write {path}: {error}"
    if "no such module: fts5" in str(error):
        return "this Python's SQLite has no full-text search (FTS5): use another Python"
    return f"{path}: {error}"


def is_full(error: Exception) -> bool:
    """Return whether the file could not grow."""
    return isinstance(error, sqlite3.Error) and _code(error) == sqlite3.SQLITE_FULL


def free_bytes(path: Path) -> int:
    """Return the free space on the file's disk, ``sys.maxsize`` if it is unknown."""
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return sys.maxsize


def unavailable(error: sqlite3.Error, path: Path) -> StoreUnavailable:
    """Return the error that a method of the store raises for an error of SQLite."""
    if is_damage(error):
        return StoreDamaged(explain(error, path), path)
    return StoreUnavailable(explain(error, path))
