"""Record what commands do to a store in the audit log of its server."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pychat.cli.settings.options import option

if TYPE_CHECKING:
    from pychat.server.chat.audit import AuditEntry

_CREDENTIALS = re.compile(r"^(mongodb[^/]*//)[^/]*@")

audit_option = option(
    "--audit-log",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Audit log file: who did what, one JSON object per line.",
)


class Audit:
    """The audit log of the running command. Records nothing if no file is given.

    Raises ClickException if the file cannot be written, before the command does anything.
    """

    def __init__(self, path: Path | None, store: str) -> None:
        self._path = path
        self._store = store
        self._entry: AuditEntry | None = None
        if path is not None:
            from pychat.server.chat.audit import AuditEntry
            from pychat.server.logs import JsonFormatter

            try:
                self._entry = AuditEntry(path, JsonFormatter())
            except OSError as error:
                raise click.ClickException(f"{path}: {error.strerror}") from None

    def note(self, action: str, **fields: object) -> None:
        """Record that the running command has done this, with the user of this process."""
        if self._entry is None:
            return
        through = click.get_current_context().command_path
        # A database address may contain a password.
        store = _CREDENTIALS.sub(r"\1", self._store)
        try:
            self._entry.write(action, **fields, by=_user(), through=through, store=store)
        except OSError as error:
            raise click.ClickException(
                f"done ({action}), but not recorded in {self._path}: {error.strerror}"
            ) from None


def _user() -> str:
    """The name from the user database, not from the environment. Adds the user behind sudo."""
    try:
        import pwd
    except ImportError:  # Windows
        import getpass

        return getpass.getuser()
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    sudo = os.environ.get("SUDO_USER")
    return f"{sudo} as {name}" if sudo and uid == 0 else name
