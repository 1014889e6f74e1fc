"""The versions of aiohttp and picows that the engine is tested with: it leans on their insides."""

from __future__ import annotations

from typing import Final

import aiohttp
import picows

AIOHTTP: Final = "3.14"
PICOWS: Final = "2.3"


class UntestedVersion(ImportError):
    """Another version than the tested one is installed: one clear line that says which would do."""


def check_versions(aiohttp_version: str, picows_version: str) -> None:
    """Raises UntestedVersion, before a connection fails in some unclear way."""
    for name, found, tested in (
        ("aiohttp", aiohttp_version, AIOHTTP),
        ("picows", picows_version, PICOWS),
    ):
        if not found.startswith(f"{tested}."):
            raise UntestedVersion(
                f"pychat needs {name} {tested}, and {found} is installed: "
                f"pip install '{name}=={tested}.*'"
            )


check_versions(
    aiohttp.__version__,
    picows.__version__,  # type: ignore[attr-defined]  # it is there, but not exported to types
)
