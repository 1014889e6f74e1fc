"""Back up and restore the database file, and recognize a log that is not the file's own."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from pychat.server.store.base import StoreError, StoreMissing
from pychat.server.store.sqlite.file.check import problems
from pychat.server.store.sqlite.file.connect import connect_reader, explain
from pychat.server.store.sqlite.file.files import (
    BLOBS,
    JOURNAL,
    SHARED_MEMORY,
    WAL,
    ServerLock,
    beside,
    flush_folder,
)
from pychat.server.store.sqlite.schema import VERSION, checked_version, renew_epoch

PAGES_AT_ONCE = 2_000

Advance = Callable[[int], None]
"""Progress callback: number of bytes copied since the last call."""


def back_up(store: Path, target: Path, advance: Advance) -> None:
    """Copy the store, which a server may be using, to a new file. Raises StoreError."""
    if not store.exists():
        raise StoreMissing(f"there is no store {store.absolute()}")
    if os.path.lexists(target):
        raise StoreError(f"{target} already exists: choose another name")
    with _copied(store, target, connect_reader, advance) as copy:
        # First the contents: a backup with its name has all of its files.
        missing = _link_blobs(store, target, copy)
        _place(copy, target)
    if missing:
        logger.warning("files not in the backup, because they have been deleted: %d", missing)


def restore(backup: Path, store: Path, advance: Advance) -> Path | None:
    """Replace the store by a copy of the backup. Returns the path of the replaced file, if any.

    Raises StoreError and changes nothing if the backup is not sound or a server uses the store.
    """
    if not backup.is_file():
        raise StoreError(f"there is no backup {backup.absolute()}")
    store = store.resolve()
    if store.exists() and backup.samefile(store):
        raise StoreError(f"{backup} is the store itself: give the path of the backup")
    lock = ServerLock(store)
    lock.acquire()
    try:
        with _copied(backup, store, _connect_unchanged, advance) as copy:
            new = _new_blobs(store)
            try:
                missing = _link_blobs(backup, new, copy)
                kept = _replace(store, copy)
                _replace_blobs(store, beside(new, BLOBS), kept)
            finally:
                shutil.rmtree(beside(new, BLOBS), ignore_errors=True)
            if missing:
                logger.warning("files are missing in the backup: %d", missing)
            return kept
    finally:
        lock.release()


def _connect_unchanged(path: Path) -> sqlite3.Connection:
    """Connect to a file that no other process writes, without creating files beside it. Raises
    StoreError if its last change is incomplete."""
    journal = beside(path, JOURNAL)
    if _size(journal):
        # SQLite would ignore it, and read a transaction that was not committed.
        raise StoreError(
            f"{path} was copied in the middle of a change, which {journal} undoes: run"
            f" 'sqlite3 {path} .schema' once, then restore it"
        )
    mode = "mode=ro" if _size(beside(path, WAL)) else "immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)


@contextmanager
def _copied(
    source: Path, target: Path, connect: Callable[[Path], sqlite3.Connection], advance: Advance
) -> Iterator[Path]:
    """Yield a checked copy in the target's folder that only its owner can read. The caller moves
    it; otherwise it is removed. Raises StoreError."""
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
                    if version == VERSION:
                        # Clients may have seen later messages than the copy contains.
                        renew_epoch(writer)
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
    # In a transaction of the reader, so that concurrent writes do not restart the backup.
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
        raise StoreError(f"{source} is empty, not a store")
    if version == VERSION:
        found = problems(copy)
    else:
        rows = copy.execute("PRAGMA integrity_check(1)").fetchall()
        found = [text for (text,) in rows if text != "ok"]
    if found:
        raise StoreError(
            f"{source} is damaged ({found[0]}): nothing was changed; run `pychat store check` for"
            " details"
        )


def _place(copy: Path, target: Path) -> None:
    """Give the copy its name, but do not replace a file that was created meanwhile."""
    try:
        os.link(copy, target)
    except FileExistsError:
        raise StoreError(f"{target} already exists: choose another name") from None
    except OSError:  # a file system without links
        try:
            target.touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            raise StoreError(f"{target} already exists: choose another name") from None
        os.replace(copy, target)
    flush_folder(target.parent)


def _replace(store: Path, copy: Path) -> Path | None:
    """Replace the store. The order of the steps leaves either the old or the new store intact if
    the process is killed; ``check_leftovers`` recognizes that a log does not belong to the new
    one."""
    _roll_back(store)
    kept = None
    if store.exists():
        kept = store.with_name(f"{store.name}.replaced-{datetime.now():%Y%m%d-%H%M%S-%f}")
        try:
            os.link(store, kept)
        except OSError:  # a file system without links
            store.rename(kept)
    try:
        os.replace(copy, store)
    except OSError:
        if kept is not None:
            os.replace(kept, store)
            kept.unlink(missing_ok=True)  # rename(2) leaves both links of a file
        raise
    for suffix in (WAL, JOURNAL):
        left = beside(store, suffix)
        with suppress(FileNotFoundError):
            left.rename(_unused(left) if kept is None else Path(f"{kept}{suffix}"))
    beside(store, SHARED_MEMORY).unlink(missing_ok=True)
    flush_folder(store.parent)
    return kept


def _link_blobs(source: Path, target: Path, copy: Path) -> int:
    """Link the contents of files that the copy names into the folder of the target, or copy them
    to another disk. Contents never change. Return how many are missing. Raises OSError."""
    with closing(sqlite3.connect(copy)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'file'").fetchone():
            return 0
        ids = [id for (id,) in connection.execute("SELECT id FROM file")]
    if not ids:
        return 0
    folder, missing = beside(target, BLOBS), 0
    folder.mkdir(mode=0o700, exist_ok=True)
    for id in ids:
        blob, new = beside(source, BLOBS) / id, folder / id
        try:
            try:
                os.link(blob, new)
            except FileExistsError:
                continue
            except FileNotFoundError:
                raise
            except OSError:  # another disk, or a file system without links
                shutil.copyfile(blob, new)
                new.chmod(0o600)
                _flush(new)
        except FileNotFoundError:
            missing += 1
    flush_folder(folder)
    return missing


def _new_blobs(store: Path) -> Path:
    """Return a name for the store's next folder of contents, which does not exist."""
    return store.with_name(f".{store.name}-{datetime.now():%Y%m%d-%H%M%S-%f}")


def _replace_blobs(store: Path, new: Path, kept: Path | None) -> None:
    """Replace the folder with the contents of files. If the process is killed before, the contents
    of the backup are still beside it, and the next start of the server says what is missing."""
    current = beside(store, BLOBS)
    if kept is not None and current.is_dir():
        current.rename(beside(kept, BLOBS))
    if new.is_dir():
        shutil.rmtree(current, ignore_errors=True)
        new.rename(current)
    flush_folder(store.parent)


def _roll_back(store: Path) -> None:
    """Let SQLite undo the incomplete change of the file that will be replaced.

    Until the journal beside it has another name, SQLite would apply it to the new file, and a
    process that is killed may leave it there for ever.
    """
    if _size(store) and _size(beside(store, JOURNAL)):
        with suppress(sqlite3.Error), closing(connect_reader(store)) as reader:
            reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def _unused(log: Path) -> Path:
    """Return a name for a log that belongs to no database any more."""
    aside, number = log.with_name(f"{log.name}.stale"), 1
    while os.path.lexists(aside):
        number += 1
        aside = log.with_name(f"{log.name}.stale-{number}")
    return aside


def _flush(file: Path) -> None:
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


logger = logging.getLogger(__name__)

_VERSIONS = slice(18, 20)
"""The file format versions in the header: 1 with a rollback journal, 2 in WAL mode
(https://sqlite.org/fileformat.html, section 1.3.3)."""
_IN_WAL_MODE = b"\x02\x02"

SLACK_SECONDS = 2.0
"""A checkpoint may make a database newer than its log by as much."""
SLACK_AFTER_REBOOT_SECONDS = 60.0
"""After a power failure, one of the two files may have an older time."""


def check_leftovers(path: Path, *, exclusive: bool) -> None:
    """Check that the log beside the database, which an unclean exit has left, belongs to it.

    If it certainly does not, rename the log (``exclusive``: this process is the store's server).
    Raises StoreError if it may not belong to the database.
    """
    left = [file for file in (beside(path, WAL), beside(path, JOURNAL)) if _size(file)]
    if not left:
        return
    if not exclusive and ServerLock(path).is_held():
        return
    (log, *_) = left
    if not _size(path):
        raise StoreError(
            f"{path} is missing or empty, but {log} contains messages of it: put it back, or"
            " restore a backup with 'pychat store restore'; to start with an empty store, remove"
            f" {log}"
        )
    if log.name.endswith(WAL) and _versions(path) != _IN_WAL_MODE:
        # While there is a log, the file of a server is in WAL mode. A backup never is.
        if not exclusive:
            raise StoreError(
                f"{path} is a restored backup, and {log} is not its log: start the server once,"
                " which renames that file"
            )
        aside = _unused(log)
        log.rename(aside)
        beside(path, SHARED_MEMORY).unlink(missing_ok=True)
        logger.warning("restored backup found: path=%s, its previous log is now %s", path, aside)
        return
    if sys.platform != "win32" and _newer_by(path, log) > _slack(log):
        raise StoreError(
            f"{path} is newer than {log}, which an unclean exit has left: if you have copied a"
            f" backup there, restore it with 'pychat store restore FILE'; if not, run"
            f" 'touch {log}' and start again"
        )


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _versions(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_VERSIONS.stop)[_VERSIONS]


def _newer_by(path: Path, log: Path) -> float:
    # Not the modification time: copying may preserve it.
    return path.stat().st_ctime - log.stat().st_ctime


def _slack(log: Path) -> float:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return SLACK_AFTER_REBOOT_SECONDS
    started = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return SLACK_SECONDS if os.stat(log).st_ctime > started else SLACK_AFTER_REBOOT_SECONDS
