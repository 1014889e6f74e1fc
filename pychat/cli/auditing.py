"""What commands do to a store, in the audit log that its server writes too."""

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
    help="Keep who did what in this file, a JSON object a line.",
)


class Audit:
    """Where the running command notes what it has done; nowhere if no file is given.

    A file that cannot be written is found before anything is done: ClickException.
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
        """It is done, by the user of this process, through the running command."""
        if self._entry is None:
            return
        through = click.get_current_context().command_path
        # A database's address may hold a password.
        store = _CREDENTIALS.sub(r"\1", self._store)
        try:
            self._entry.write(action, **fields, by=_user(), through=through, store=store)
        except OSError as error:
            raise click.ClickException(
                f"it is done ({action}), but not in {self._path}: {error.strerror}"
            ) from None


def _user() -> str:
    """By the system's word, not by a variable's; who became root by sudo is named too."""
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
