"""What a bug report needs: the versions of Python, the system and all packages."""

from __future__ import annotations

import os
import platform
import sqlite3
import ssl
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from itertools import takewhile
from typing import Final

DISTRIBUTION: Final = "pychat-socketio"
_TERMINAL: Final = ("TERM", "COLORTERM", "TERM_PROGRAM", "LANG", "LC_ALL", "LC_CTYPE", "TMUX")
"""Variables that decide how the terminal client draws. They hold no secret."""


def packages() -> dict[str, str]:
    """The packages that pychat needs, and their versions; empty if one is missing."""
    found = {}
    for requirement in requires(DISTRIBUTION) or ():
        name = "".join(takewhile(lambda each: each.isalnum() or each in "._-", requirement))
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return dict(sorted(found.items()))


def report() -> str:
    """All of it, one thing in each line. It names no files and no accounts."""
    from pychat.server.engine.versions import tested

    terminal = [f"{name}={os.environ[name]}" for name in _TERMINAL if os.environ.get(name)]
    lines = {
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": platform.platform(),
        "SQLite": sqlite3.sqlite_version,
        "TLS": ssl.OPENSSL_VERSION,
        "engine": "direct" if tested() else "aiohttp's public API: untested versions",
        "terminal": " ".join([f"{sys.stdout.encoding}", *terminal]),
        **{name: found or "missing" for name, found in packages().items()},
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {found}" for name, found in lines.items())
