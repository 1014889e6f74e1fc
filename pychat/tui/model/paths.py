"""Paths that users type: what they mean, and how they can be completed."""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from pychat.client.safetext import safe_text

MAX_READ: Final = 2_000
"""Entries of a folder that are read: a key press waits for it."""
MAX_OFFERED: Final = 9
_ESCAPED: Final = re.compile(r"\\([\s\S])")


class PathEntry(NamedTuple):
    """A file or folder: ``typed`` replaces what was typed, ``name`` is shown."""

    typed: str
    name: str
    folder: bool


def path_from(typed: str) -> Path:
    """Return the path that a text means: also quoted, escaped or as ``file:`` address, as terminals
    insert a file that is dropped on them."""
    text = typed.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    elif text.startswith("file://"):
        text = unquote(urlsplit(text).path)
    elif os.sep == "/" and not os.path.lexists(Path(text).expanduser()):
        text = _ESCAPED.sub(r"\1", text)
    return Path(text).expanduser()


def complete_path(typed: str) -> list[PathEntry]:
    """Return the files and folders that a path may become, by name.

    Hidden ones are offered after a dot only. Names that cannot be shown as they are never are.
    """
    folder, slash, begun = typed.rpartition("/")
    if typed == "~":
        return [PathEntry("~/", "~", folder=True)]
    try:
        with os.scandir(Path(folder + slash or ".").expanduser()) as entries:
            found = [
                PathEntry(
                    f"{folder}{slash}{entry.name}{'/' if entry.is_dir() else ''}",
                    entry.name,
                    entry.is_dir(),
                )
                for entry in islice(entries, MAX_READ)
                if entry.name.startswith(begun)
                and (begun or not entry.name.startswith("."))
                and safe_text(entry.name, multiline=False) == entry.name
            ]
    except (OSError, RuntimeError, ValueError):  # no such folder, no home of ~name, a NUL
        return []
    return sorted(found, key=lambda entry: entry.name)[:MAX_OFFERED]
