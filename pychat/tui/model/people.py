"""People: aliases of users without a conversation, requested from the server once each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pychat.client.errors import ChatClientError, LoginRefused, RequestRefused
from pychat.tui.text.names import Name, name_of

if TYPE_CHECKING:
    from pychat.client import ChatClient

RETRY_SECONDS: Final = 1.0
MAX_RESULTS: Final = 10
"""The server returns users whose id or alias begins with the query, the exact id first."""


class People:
    """A cache of aliases. ``on_unknown`` is called when one is missing: call ``learn`` then."""

    def __init__(self, client: ChatClient, on_unknown: Callable[[], object]) -> None:
        self._client = client
        self._on_unknown = on_unknown
        self._aliases: dict[str, str] = {}
        self._wanted: list[str] = []
        self._learning = False

    def name(self, id: str) -> Name:
        """Return the name of a user; until the alias is known, the id."""
        if id not in self._aliases:
            self._aliases[id] = ""
            self._wanted.append(id)
            self._on_unknown()
        return name_of(id, self._aliases[id])

    async def learn(self) -> bool:
        """Request all missing aliases; return True if a name has changed."""
        changed = False
        if self._learning:
            return False
        self._learning = True
        try:
            while self._wanted:
                id = self._wanted[0]
                try:
                    found = await self._client.users(id, limit=MAX_RESULTS)
                except LoginRefused:
                    raise
                except RequestRefused as refusal:
                    if refusal.retry_after is None:
                        found = []
                    else:
                        await asyncio.sleep(max(refusal.retry_after, RETRY_SECONDS))
                        continue
                self._wanted.remove(id)
                alias = next((user.alias for user in found if user.id == id), "")
                self._aliases[id] = alias
                changed = changed or (bool(alias) and alias != id)
        except ChatClientError:
            pass  # offline: requested again after the next login
        finally:
            self._learning = False
        return changed
