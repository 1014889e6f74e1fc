"""Files in the user's own directories: read them safely, and set unusable ones aside."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

MAX_SET_ASIDE: Final = 9
"""Number of unusable files to keep per name. The last one is replaced after that."""


def read_own_file(path: Path, limit: int = 1_000_000) -> bytes:
    """Return the content of a file.

    ``limit``: bytes. Raises OSError, also for what is not a regular file, belongs to another user
    or is too large.
    """
    # O_NONBLOCK: opening a named pipe would block until another process opens it for writing.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "it is not a file")
        if os.name == "posix" and found.st_uid != os.geteuid():
            raise OSError(0, "it belongs to another user of this machine")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(0, "it is too large")
    return content


def set_aside(path: Path) -> Path | None:
    """Rename a file, with the files that SQLite keeps next to it, to ``NAME.unusable-1``.

    The number is the first free one. Returns the new path, or None if renaming fails.
    """
    for number in range(1, MAX_SET_ASIDE + 1):
        new = path.with_name(f"{path.name}.unusable-{number}")
        if not os.path.lexists(new):
            break
    try:
        os.replace(path, new)
        for suffix in ("-wal", "-shm", "-journal"):
            extra = path.with_name(path.name + suffix)
            if os.path.lexists(extra):
                os.replace(extra, new.with_name(new.name + suffix))
    except OSError:
        return None
    return new
