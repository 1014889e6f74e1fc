"""Tells whether a server can be reached, to whoever has not logged in yet."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from importlib import import_module
from typing import Final

from pychat.client.errors import ServerUnreachable

RETRY_WITHIN: Final = 2.0
"""Seconds; somebody sits before the form and waits."""


async def watch_server(address: str, tell: Callable[[str], None]) -> None:
    """Until it is cancelled. ``tell`` gets why the server cannot be reached, in one line, after
    each attempt that has failed, and an empty one once it can be."""
    # As for a login: it takes long, and not on the loop.
    await asyncio.to_thread(import_module, "pychat.client.connection")
    from pychat.client.connection import ServerConnection

    while True:
        connection = ServerConnection(address, lambda _name, _data: None)
        try:
            await connection.open()
            tell("")
            await connection.closed
        except ServerUnreachable as error:
            tell(str(error))
        finally:
            await connection.close()
        await asyncio.sleep(random.uniform(0, RETRY_WITHIN))
