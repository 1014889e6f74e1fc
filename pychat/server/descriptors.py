"""How many files and connections the system lets this process have open."""

from __future__ import annotations

import sys
from typing import Final

_KEPT: Final = 32
"""Descriptors for the store, files and whatever else a server opens while it runs."""


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


def limit_reached(descriptor: int) -> int:
    """The limit, if the descriptor of a new connection shows that few are left; else 0.

    The system gives the lowest one that is free.
    """
    if sys.platform == "win32":
        return 0
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return 0
    return limit if descriptor >= limit - min(_KEPT, limit // 4) else 0
