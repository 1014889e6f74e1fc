"""The audit log: who did what to accounts, rooms and messages, and what was refused."""

from __future__ import annotations

import logging
import logging.handlers
import os
from pathlib import Path

log = logging.getLogger("pychat.audit")


def note(action: str, **fields: object) -> None:
    """``fields`` say who, whom and from where; never a password, a token or a text."""
    log.info(action, extra={"fields": fields})


def to_file(path: Path, formatter: logging.Formatter) -> None:
    """From now on a line for each, also at the end of that file. Raises OSError.

    Readable by its owner only; several processes may write, and logrotate may move it.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    handler = logging.handlers.WatchedFileHandler(path, encoding="utf-8")
    handler.setFormatter(formatter)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
