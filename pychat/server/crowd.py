"""Addresses with more connections than they may have, in the log: its reader may want them."""

from __future__ import annotations

import logging
import time
from typing import Final

from pychat.server.recent import Recent

log = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 600.0
_MAX_ADDRESSES: Final = 20_000


class Crowds:
    """Tells of each once, and again when some time has passed."""

    def __init__(self, what: str) -> None:
        """``what`` there are too many of."""
        self._what = what
        self._told: Recent[str, float] = Recent(_MAX_ADDRESSES)

    def refused(self, address: str, most: int) -> None:
        """One more than ``most``, from an address or a network."""
        now = time.monotonic()
        told = self._told.get(address)
        if told is None or now - told > AGAIN_SECONDS:
            self._told[address] = now
            log.warning(
                "%s has %d %s and is refused more: if it is a house or a school, allow them with "
                "--limit connections-per-address=%d",
                address,
                most,
                self._what,
                4 * most,
            )
