"""How this program was started, so that commands it prints can be copied."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def own_command() -> str:
    """``pychat`` if the shell finds this program by that name, otherwise how it was started."""
    started = sys.argv[0]
    if Path(started).name == "__main__.py":
        return f"{shlex.quote(sys.orig_argv[0])} -m pychat"
    found = shutil.which("pychat")
    if not os.path.exists(started) or (found and os.path.samefile(found, started)):
        return "pychat"
    return shlex.quote(started)
