"""How this program was started, so that what it tells people to type works as it stands."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def own_command() -> str:
    """``pychat`` where the shell finds this very one by it, else the way it was started."""
    started = sys.argv[0]
    if Path(started).name == "__main__.py":
        return f"{shlex.quote(sys.orig_argv[0])} -m pychat"
    found = shutil.which("pychat")
    if not os.path.exists(started) or (found and os.path.samefile(found, started)):
        return "pychat"
    return shlex.quote(started)
