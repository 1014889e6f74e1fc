"""The versions of aiohttp and picows whose private parts the engine may use."""

from __future__ import annotations

import logging
from functools import cache
from typing import Final

import aiohttp

logger = logging.getLogger("pychat.engine")

AIOHTTP: Final = "3.14"
PICOWS: Final = "2.3"


def tested() -> bool:
    """Whether the engine was tested with the installed versions. Logs once if it was not.

    With other versions the engine serves through aiohttp's public API, which is slower.
    """
    untested = [
        f"{name} {found or '(not installed)'}"
        for name, found, known in (
            ("aiohttp", aiohttp.__version__, AIOHTTP),
            ("picows", _picows_version(), PICOWS),
        )
        if not found.startswith(f"{known}.")
    ]
    if untested:
        _log(" and ".join(untested))
    return not untested


def _picows_version() -> str:
    try:
        import picows
    except ImportError:
        return ""
    version: str = picows.__version__  # type: ignore[attr-defined]  # not exported to types
    return version


@cache
def _log(untested: str) -> None:
    logger.warning(
        "untested version: %s; serving through aiohttp's public API, which is slower: "
        "install aiohttp %s and picows %s",
        untested,
        AIOHTTP,
        PICOWS,
    )
