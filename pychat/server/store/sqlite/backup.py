"""Copies of the database file: made beside a running server, and put back in its place.

A copy is made by SQLite's online backup API from one snapshot, checked, and given its name only
when it is whole. It is in no WAL mode, so that a write-ahead log that lies beside it by accident
is known not to be its own (leftover.py).
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from pychat.server.store.base import StoreError, StoreMissing
from pychat.server.store.sqlite.check import problems
from pychat.server.store.sqlite.connect import connect_reader, explain
from pychat.server.store.sqlite.files import JOURNAL, SHARED_MEMORY, WAL, beside
from pychat.server.store.sqlite.lock import ServerLock
from pychat.server.store.sqlite.schema import VERSION, checked_version

PAGES_AT_ONCE = 2_000

Advance = Callable[[int], None]
"""Called with how many more bytes are copied."""


def back_up(store: Path, target: Path, advance: Advance) -> None:
    """Copies the store, which may be in use, into a new file. Raises StoreError."""
    if not store.exists():
        raise StoreMissing(f"there is no store {store.absolute()}")
    if os.path.lexists(target):
        raise StoreError(f"{target} is there already: choose another name")
    with _copied(store, target, connect_reader, advance) as copy:
        _place(copy, target)


def restore(backup: Path, store: Path, advance: Advance) -> Path | None:
    """Puts a copy of the backup in the store's place. Returns where what was there is kept.

    Raises StoreError, also while a server holds the store; nothing is changed then.
    """
    if not backup.is_file():
        raise StoreError(f"there is no backup {backup.absolute()}")
    store = store.resolve()
    if store.exists() and backup.samefile(store):
        raise StoreError(f"{backup} is the store itself: name the backup's file")
    lock = ServerLock(store)
    lock.acquire()
    try:
        with _copied(backup, store, _connect_unchanged, advance) as copy:
            return _replace(store, copy)
    finally:
        lock.release()


def _connect_unchanged(path: Path) -> sqlite3.Connection:
    """For reading a file that nothing else writes; no other file is made beside it."""
    wal = beside(path, WAL)
    mode = "mode=ro" if wal.exists() and wal.stat().st_size else "immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)


@contextmanager
def _copied(
    source: Path, target: Path, connect: Callable[[Path], sqlite3.Connection], advance: Advance
) -> Iterator[Path]:
    """A checked copy in the target's folder, for its owner's eyes only; removed at the end if it
    is still there. Raises StoreError."""
    try:
        descriptor, name = tempfile.mkstemp(".part", f".{target.name}-", target.parent)
    except OSError as error:
        raise StoreError(f"cannot write {target.absolute()}: {error.strerror}") from None
    copy = Path(name)
    try:
        os.close(descriptor)
        try:
            with closing(connect(source)) as reader:
                version = checked_version(reader, source)
                with closing(sqlite3.connect(copy, isolation_level=None)) as writer:
                    _copy(reader, writer, advance)
                    _check(writer, source, version)
        except sqlite3.Error as error:
            path = copy if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL else source
            raise StoreError(explain(error, path)) from None
        _flush(copy)
        yield copy
    except OSError as error:
        raise StoreError(f"cannot write {target.absolute()}: {error.strerror}") from None
    finally:
        for suffix in ("", WAL, SHARED_MEMORY, JOURNAL):
            Path(name + suffix).unlink(missing_ok=True)


def _copy(reader: sqlite3.Connection, writer: sqlite3.Connection, advance: Advance) -> None:
    # Within a transaction of the reader: what is written meanwhile does not start it anew.
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    (page_bytes,) = reader.execute("PRAGMA page_size").fetchone()
    copied = 0

    def progress(status: int, left: int, pages: int) -> None:
        nonlocal copied
        advance((pages - left - copied) * page_bytes)
        copied = pages - left

    reader.backup(writer, pages=PAGES_AT_ONCE, progress=progress)
    reader.execute("COMMIT")
    writer.execute("PRAGMA journal_mode = DELETE")


def _check(copy: sqlite3.Connection, source: Path, version: int) -> None:
    if version == 0:
        raise StoreError(f"{source} is empty: it is no store")
    if version == VERSION:
        found = problems(copy)
    else:
        rows = copy.execute("PRAGMA integrity_check(1)").fetchall()
        found = [text for (text,) in rows if text != "ok"]
    if found:
        raise StoreError(
            f"{source} is damaged ({found[0]}): `pychat store check` says more, nothing was changed"
        )


def _place(copy: Path, target: Path) -> None:
    """Never over a file that somebody has made meanwhile."""
    try:
        os.link(copy, target)
    except FileExistsError:
        raise StoreError(f"{target} is there already: choose another name") from None
    except OSError:  # a file system without links
        copy.rename(target)
    _flush_folder(target.parent)


def _replace(store: Path, copy: Path) -> Path | None:
    """In this order, a process that is killed leaves the old store whole, or the new one: beside
    that, the old one's log is known not to be its own."""
    kept = None
    if store.exists():
        kept = store.with_name(f"{store.name}.replaced-{datetime.now():%Y%m%d-%H%M%S-%f}")
        try:
            os.link(store, kept)
        except OSError:  # a file system without links
            store.rename(kept)
    os.replace(copy, store)
    for suffix in (WAL, JOURNAL):
        with suppress(FileNotFoundError):
            beside(store, suffix).rename(f"{kept or store}{suffix}" + ("" if kept else ".stale"))
    beside(store, SHARED_MEMORY).unlink(missing_ok=True)
    _flush_folder(store.parent)
    return kept


def _flush(file: Path) -> None:
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def _flush_folder(folder: Path) -> None:
    """Where the system allows it: the new names survive a lost power."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
