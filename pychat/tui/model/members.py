"""RoomMembers: a cache of the members of rooms; and whom a text can mention."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from pychat.client.errors import ChatClientError
from pychat.client.models import MemberInfo
from pychat.protocol import EVERYONE, ROOM_PREFIX
from pychat.tui.text.names import Name, name_of

if TYPE_CHECKING:
    from pychat.client import ChatClient

KEPT: Final = 8
"""Number of rooms whose members are kept."""
MAX_OFFERED: Final = 8


class RoomMembers:
    """A cache of members, by conversation."""

    def __init__(self, client: ChatClient) -> None:
        self._client = client
        self._members: dict[str, list[MemberInfo]] = {}
        self._loading: set[str] = set()

    def known(self, name: str) -> list[MemberInfo] | None:
        """Return the members of a room; None if they were not loaded yet."""
        return self._members.get(name)

    async def load(self, name: str) -> bool:
        """Ask the server for the members of a room; True if they are known then."""
        if not name.startswith(ROOM_PREFIX) or name in self._loading:
            return False
        self._loading.add(name)
        try:
            members = await self._client.members(name.removeprefix(ROOM_PREFIX))
        except ChatClientError:
            return False  # offline, or no member any more: the next use asks again
        finally:
            self._loading.discard(name)
        self._members.pop(name, None)
        self._members[name] = members
        while len(self._members) > KEPT:
            self._members.pop(next(iter(self._members)))
        return True


def mentionable(query: str, recent: Iterable[str], people: Iterable[tuple[str, str]]) -> list[Name]:
    """Return those whom ``@`` and a query may mean, at most ``MAX_OFFERED``; ids as ``id``.

    ``recent``: ids of the last senders, the last one first; ``people``: ids and aliases. A query
    is the beginning of an id, or of a word in an alias. The exact id comes first, then recent ones;
    all members together come last.
    """
    query = query.casefold()
    place = {id: number for number, id in enumerate(dict.fromkeys(recent))}
    found = [
        (id.casefold() != query, id == EVERYONE, place.get(id, len(place)), id, alias)
        for id, alias in dict([(EVERYONE, ""), *people]).items()
        if id.casefold().startswith(query)
        or any(word.startswith(query) for word in alias.casefold().split())
    ]
    offered = []
    for *_, id, alias in sorted(found)[:MAX_OFFERED]:
        called = name_of(id, alias).called
        offered.append(Name(called, id))
    return offered
