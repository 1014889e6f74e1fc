"""A bound on reads of the store that are repeated because something has changed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pychat.protocol import Code, ProtocolError

MAX_READS: Final = 20
"""A read takes milliseconds, so this many changes during one request are a flood."""


def rereads() -> Iterator[None]:
    """Yield before each attempt to read what must not change meanwhile.

    Raises ProtocolError 503 after MAX_READS attempts: otherwise a steady stream of changes would
    keep the request, and the store, busy for ever.
    """
    for _ in range(MAX_READS):
        yield
    raise ProtocolError(
        Code.UNAVAILABLE, "this changes too fast to be read: try again", retry_after=1.0
    )
