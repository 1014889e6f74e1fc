"""Keeps the traceback of a crash for a bug report, out of the terminal."""

from __future__ import annotations

import os
import time
import traceback
from pathlib import Path

from platformdirs import user_log_path


def write_crash_log(error: BaseException) -> Path | None:
    """Appends an exception to the log file, without local variables: they may hold passwords.
    None if it cannot be written."""
    path = user_log_path("pychat") / "terminal.log"
    trace = "".join(traceback.format_exception(error))
    text = f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')}\n{trace}\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8", errors="replace") as log:
            log.write(text)
    except OSError:
        return None
    return path
