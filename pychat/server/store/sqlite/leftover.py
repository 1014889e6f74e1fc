"""A write-ahead log that an unclean end left behind, beside a database that is not its own.

SQLite applies whatever log it finds (sqlite.org/howtocorrupt.html, section 1.3): a backup that was
copied over the database of a crashed server would be destroyed by it, or turned into the crashed
state again.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path

from pychat.server.store.base import StoreError
from pychat.server.store.sqlite.files import JOURNAL, SHARED_MEMORY, WAL, beside
from pychat.server.store.sqlite.lock import ServerLock

logger = logging.getLogger(__name__)

_VERSIONS = slice(18, 20)
"""Where the header says how the file is written and read: 1 with a journal, 2 with a log
(sqlite.org/fileformat.html, section 1.3.3)."""
_IN_WAL_MODE = b"\x02\x02"

SLACK_SECONDS = 2.0
"""A database may be newer than its log by the time that a checkpoint takes."""
SLACK_AFTER_REBOOT_SECONDS = 60.0
"""A system that lost its power may have kept an older time of one of the two."""


def check_leftovers(path: Path, *, exclusive: bool) -> None:
    """Raises StoreError if the log beside the database may belong to another one. A log that
    certainly does is set aside, if this process is the store's server."""
    left = [file for file in (beside(path, WAL), beside(path, JOURNAL)) if _size(file)]
    if not left:
        return
    if not exclusive and ServerLock(path).is_held():
        return
    (log, *_) = left
    if not _size(path):
        raise StoreError(
            f"{path} is missing or empty, but {log} holds messages of it: put it back, or restore"
            f" a backup with 'pychat store restore'; to begin with an empty store, remove {log}"
        )
    if log.name.endswith(WAL) and _versions(path) != _IN_WAL_MODE:
        # A server's file is in WAL mode before there is a log, a backup is not.
        if not exclusive:
            raise StoreError(
                f"{path} was restored, and {log} is not its own: start the server once, it sets"
                " that file aside"
            )
        aside = log.with_name(log.name + ".stale")
        log.replace(aside)
        beside(path, SHARED_MEMORY).unlink(missing_ok=True)
        logger.warning("%s is a restored backup: the log that lay beside it is now %s", path, aside)
        return
    if sys.platform != "win32" and _newer_by(path, log) > _slack(log):
        raise StoreError(
            f"{path} is newer than {log}, which an unclean end has left: if a backup was copied"
            f" there, put it in place with 'pychat store restore FILE'; if not, run 'touch {log}'"
            " and start again"
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
    # Not the time of modification: copying may keep it.
    return path.stat().st_ctime - log.stat().st_ctime


def _slack(log: Path) -> float:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return SLACK_AFTER_REBOOT_SECONDS
    started = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return SLACK_SECONDS if os.stat(log).st_ctime > started else SLACK_AFTER_REBOOT_SECONDS
