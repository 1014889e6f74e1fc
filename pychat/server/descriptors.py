"""As many open connections as the system lets this process have."""

from __future__ import annotations

import sys


def raise_limit() -> None:
    """The soft limit up to the hard one: 1,024, which is usual, is soon reached by connections."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            # macOS calls its hard limit unlimited and allows 10,240.
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 10_240), hard))
