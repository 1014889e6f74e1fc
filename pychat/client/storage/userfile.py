"""Files in the user's own folder: read whole, and set aside where they cannot be used."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

SET_ASIDE_MOST: Final = 9
"""So many unusable files of one name are kept; then the last of them is replaced."""


def read_own_file(path: Path, limit: int = 1_000_000) -> bytes:
    """Its content. Raises OSError: also for what is no file, of another user, or too large."""
    # O_NONBLOCK: a pipe without a writer would be waited for.
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
    """Gives it another name beside the old one, with what SQLite keeps next to it. None where the
    folder does not allow that."""
    for number in range(1, SET_ASIDE_MOST + 1):
        new = path.with_name(f"{path.name}.unusable-{number}")
        if not os.path.lexists(new):
            break
    try:
        os.replace(path, new)
        for suffix in ("-wal", "-shm", "-journal"):
            beside = path.with_name(path.name + suffix)
            if os.path.lexists(beside):
                os.replace(beside, new.with_name(new.name + suffix))
    except OSError:
        return None
    return new
