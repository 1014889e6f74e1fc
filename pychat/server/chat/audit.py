"""The audit log: actions on accounts, rooms and messages, and refused logins."""

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
    """Log an action. ``fields`` never contain a password, a token or the text of a message."""
    log.info(action, extra={"fields": fields})


def to_file(path: Path, formatter: logging.Formatter) -> None:
    """Append all actions to a file from now on. Raises OSError.

    Only its owner can read the file. Several processes may append to it, and logrotate may move
    it. If writing fails later, the server's log reports it.
    """
    handler = _AuditFile(path)
    handler.setFormatter(formatter)
    log.addHandler(handler)
    log.setLevel(logging.INFO)


class AuditEntry:
    """One line of the file, for a command. Create it before the command changes anything.

    Creating and writing it raise OSError.
    """

    def __init__(self, path: Path, formatter: logging.Formatter) -> None:
        self._formatter = formatter
        self._file = _open(path)

    def write(self, action: str, **fields: object) -> None:
        """Append the line and close the file."""
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
        # Reset with each line, so that a failure after a success is reported again.
        self._failed_before, self._failing = self._failing, ""
        try:
            super().emit(record)
        except OSError as error:  # the file was moved and its folder is gone
            self._failed(error)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        error = sys.exc_info()[1]
        if error is not None:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        # Report each reason once: with a full disk every line fails.
        self._failing = str(error)
        if self._failing != self._failed_before:
            faults.error("the audit log cannot be written: %s", error)


def _open(path: Path) -> io.TextIOWrapper:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.fdopen(open_own(path, flags), "a", encoding="utf-8")
