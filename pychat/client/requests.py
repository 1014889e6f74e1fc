"""What one may ask the server, beside sending: history, search, people, rooms, logins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

import msgspec

from pychat import protocol
from pychat.client.models import HistoryPage, LoginSession, Room, SearchPage, User

T = TypeVar("T")


class ServerRequests(ABC):
    """The requests of ChatClient that only ask and answer.

    Each raises RequestRefused for the server's refusals and ServerUnreachable while offline.
    """

    @abstractmethod
    async def _request(self, event: protocol.Event, payload: msgspec.Struct, answer: type[T]) -> T:
        """Sends the event and waits for its answer."""

    async def history(
        self,
        name: str,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = protocol.DEFAULT_LIMIT,
    ) -> HistoryPage:
        """A page of a conversation, oldest first; ``before`` and ``after`` are exclusive seqs, at
        most one of them. Neither: the newest page. While offline, what the cache has."""
        raise NotImplementedError

    async def search(
        self,
        text: str,
        *,
        conversation: str | None = None,
        cursor: str = "",
        limit: int = protocol.DEFAULT_LIMIT,
    ) -> SearchPage:
        """Messages with these words, newest first, in one conversation or in all of one's own.
        ``cursor`` is ``next`` of the page before."""
        raise NotImplementedError

    async def users(self, query: str = "", limit: int = protocol.DEFAULT_LIMIT) -> list[User]:
        """Whose id or alias begins with the query; an empty one matches all."""
        raise NotImplementedError

    async def rooms(self) -> list[Room]:
        """All rooms of the server; ``member`` says which are one's own."""
        raise NotImplementedError

    async def create_room(self, id: str, name: str) -> None:
        """One is its owner and a member. Refused with 409 where the id is taken."""
        raise NotImplementedError

    async def rename_room(self, id: str, name: str) -> None:
        """Only the owner may: else 403."""
        raise NotImplementedError

    async def delete_room(self, id: str) -> None:
        """Only the owner may: else 403. What was said in it is gone."""
        raise NotImplementedError

    async def join_room(self, id: str) -> None:
        """From here on one reads it as the conversation ``#id``."""
        raise NotImplementedError

    async def leave_room(self, id: str) -> None:
        """The conversation ``#id`` is gone from the list."""
        raise NotImplementedError

    async def block(self, id: str) -> None:
        """Nothing that they write arrives any more; they do not learn of it."""
        raise NotImplementedError

    async def unblock(self, id: str) -> None:
        """What they write from now on arrives again."""
        raise NotImplementedError

    async def sessions(self) -> list[LoginSession]:
        """One's own logins, this one being ``current``."""
        raise NotImplementedError

    async def revoke(self, what: str) -> list[LoginSession]:
        """Ends the login with this id, ``others`` or ``all``; gives those that are left."""
        raise NotImplementedError
