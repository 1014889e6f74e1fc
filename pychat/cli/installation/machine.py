"""Checks of ``pychat doctor`` on the machine: packages, clock, terminal, keyring."""

from __future__ import annotations

import os
import platform
import stat
import sys
import time
from pathlib import Path
from typing import Final

import pychat
from pychat.cli.installation.findings import Finding, fix, note, ok
from pychat.cli.installation.versions import packages

SMALLEST: Final = (40, 12)
"""Columns and lines that the terminal client needs."""
MINUTES: Final = 60.0


def check_packages() -> Finding:
    from pychat.server.engine.versions import AIOHTTP, PICOWS, tested

    missing = [name for name, version in packages().items() if not version]
    if sys.platform == "win32" or platform.python_implementation() != "CPython":
        missing = [name for name in missing if name != "uvloop"]
    if missing:
        return fix("packages", f"{', '.join(missing)} missing: install pychat-socketio again")
    if not tested():
        return note(
            "packages",
            "untested versions make the server slower: "
            f"install 'aiohttp=={AIOHTTP}.*' 'picows=={PICOWS}.*'",
        )
    return ok("packages", f"Python {platform.python_version()}, all packages in tested versions")


def check_clock() -> Finding:
    installed = Path(pychat.__file__).stat().st_mtime
    now = time.time()
    shown = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(now))
    if now < installed - MINUTES:
        return fix("clock", f"it is {shown}, before pychat was installed: set the clock")
    return ok("clock", shown)


def check_terminal() -> Finding:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return note("terminal", "none here: run this in the terminal that you will use")
    encoding = sys.stdout.encoding.lower().replace("-", "")
    if encoding != "utf8":
        return fix("terminal", f"its encoding is {sys.stdout.encoding}: set LANG=C.UTF-8")
    term = os.environ.get("TERM", "")
    if sys.platform != "win32" and term in ("", "dumb", "unknown"):
        return fix("terminal", f"TERM={term}: set it to your terminal, such as xterm-256color")
    columns, lines = os.get_terminal_size(sys.stdout.fileno())
    if columns < SMALLEST[0] or lines < SMALLEST[1]:
        size = f"{columns} × {lines}"
        return fix("terminal", f"{size} is too small: at least {SMALLEST[0]} × {SMALLEST[1]}")
    colours = "" if os.environ.get("COLORTERM") in ("truecolor", "24bit") else ", 256 colours"
    return ok("terminal", f"{term or 'Windows'}, {columns} × {lines}{colours}")


def check_keyring() -> Finding:
    """Where login tokens are stored. The keyring is not asked for a secret."""
    import keyring

    try:
        backend = keyring.get_keyring()
        usable = backend.priority >= 1
    except Exception as error:  # every backend raises its own errors
        return note("keyring", f"unusable ({error}): login tokens are stored in files")
    if usable:
        return ok("keyring", f"login tokens are stored in {backend.name}")
    return note("keyring", "none: login tokens are stored in files that only you can read")


def check_login_files() -> Finding:
    from platformdirs import user_data_path

    from pychat.cli.settings.files import NAME

    folder = user_data_path(NAME, appauthor=False) / "logins"
    if sys.platform != "win32" and folder.is_dir():
        for path in (folder, *folder.iterdir()):
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                return fix("logins", f"others can read {path}: run chmod go= '{path}'")
    return ok("logins", f"{folder}")
