"""The audit log: who did what to accounts, rooms and messages, and what was refused."""

from __future__ import annotations

import io
import logging
import logging.handlers
import os
import sys
from pathlib import Path

from pychat.server.ownfile import open_own

log = logging.getLogger("pychat.audit")
faults = logging.getLogger("pychat.server.audit")


def note(action: str, **fields: object) -> None:
    """``fields`` say who, whom and from where; never a password, a token or a text."""
    log.info(action, extra={"fields": fields})


def to_file(path: Path, formatter: logging.Formatter) -> None:
    """From now on a line for each, also at the end of that file. Raises OSError.

    Readable by its owner only; several processes may write, and logrotate may move it. When it
    cannot be written any more, the server's log says so.
    """
    handler = _AuditFile(path)
    handler.setFormatter(formatter)
    log.addHandler(handler)
    log.setLevel(logging.INFO)


class AuditEntry:
    """One line at the end of the file, for a command: opened before it does anything.

    Raises OSError, as ``write`` does.
    """

    def __init__(self, path: Path, formatter: logging.Formatter) -> None:
        self._formatter = formatter
        self._file = _open(path)

    def write(self, action: str, **fields: object) -> None:
        """What was done; closes the file."""
        record = log.makeRecord(log.name, logging.INFO, "", 0, action, (), None)
        record.fields = fields
        with self._file as file:
            file.write(self._formatter.format(record) + "\n")


class _AuditFile(logging.handlers.WatchedFileHandler):
    def __init__(self, path: Path) -> None:
        self._failing = self._failed_before = ""
        super().__init__(path, encoding="utf-8")

    def _open(self) -> io.TextIOWrapper:
        return _open(Path(self.baseFilename))

    def emit(self, record: logging.LogRecord) -> None:
        # What has been written since is no reason to keep quiet when it fails again.
        self._failed_before, self._failing = self._failing, ""
        try:
            super().emit(record)
        except OSError as error:  # the folder of a file that was moved is gone
            self._failed(error)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        error = sys.exc_info()[1]
        if error is not None:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        # Once for each reason: a full disk fails with every line.
        self._failing = str(error)
        if self._failing != self._failed_before:
            faults.error("the audit log cannot be written: %s", error)


def _open(path: Path) -> io.TextIOWrapper:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.fdopen(open_own(path, flags), "a", encoding="utf-8")
