"""Requests to the server other than sending: history, search, people, rooms, devices."""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import UNSET

from pychat import protocol
from pychat.client.connection.reconnect import Reconnector
from pychat.client.errors import AnswerLost, AnswerNotUnderstood, LoginRefused, ServerUnreachable
from pychat.client.models import (
    ConnectionState,
    DeviceInfo,
    HistoryPage,
    RoomInfo,
    SearchPage,
    UserInfo,
)
from pychat.client.wire import (
    ANSWER_TIMEOUT,
    check_page,
    check_refusal,
    conversation_name,
    message_record,
    parsed,
    room_record,
    session_record,
    user_record,
)
from pychat.protocol import Event

if TYPE_CHECKING:
    from pychat.client.connection.socket import ServerConnection


T = TypeVar("T")


class Asking:
    """Over whatever connection the session has."""

    def __init__(self, session: Reconnector) -> None:
        self._session = session

    async def request(self, event: protocol.Event, payload: msgspec.Struct, answer: type[T]) -> T:
        """The answer. Raises RequestRefused, ServerUnreachable, LoginRefused."""
        connection = await self._ready()
        try:
            reply = await connection.request(event, msgspec.to_builtins(payload), ANSWER_TIMEOUT)
        except TimeoutError:
            reason = f"the server has not answered for {ANSWER_TIMEOUT:.0f} seconds"
            if time.monotonic() - connection.last_received >= ANSWER_TIMEOUT:
                connection.abort(reason)
            raise AnswerLost(reason) from None
        check_refusal(reply)
        return parsed(reply, answer)

    async def _ready(self) -> ServerConnection:
        """The connection, waited for while the first one is being made."""
        if self._session.status.state is ConnectionState.CONNECTING:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    await self._session.outcome()
        if self._session.connection is not None:
            return self._session.connection
        status = self._session.status
        if status.state is ConnectionState.REFUSED:
            raise LoginRefused(protocol.Code.UNAUTHORIZED, status.reason)
        raise ServerUnreachable(status.reason or "not connected")


class ServerRequests(ABC):
    """The requests of ChatClient that only ask and answer.

    Each raises RequestRefused for the server's refusals and ServerUnreachable while offline.
    """

    @property
    @abstractmethod
    def user(self) -> str:
        """The login id."""

    @abstractmethod
    async def _request(self, event: Event, payload: msgspec.Struct, answer: type[T]) -> T:
        """Sends the event and waits for its answer."""

    @abstractmethod
    async def _joined(self) -> None:
        """The list of conversations has changed: returns when it is here."""

    @abstractmethod
    def _hidden_or_shown(self, id: str) -> None:
        """What one may see of that person's messages has changed, or may have."""

    @abstractmethod
    def _left(self, name: str) -> None:
        """That conversation is no longer one's own."""

    async def _history_page(self, request: protocol.HistoryRequest) -> HistoryPage:
        answer = await self._request(Event.HISTORY, request, protocol.HistoryAnswer)
        check_page(request, answer)
        records = [message_record(each, request.with_, self.user) for each in answer.messages]
        return HistoryPage(records, answer.has_more)

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
        request = protocol.SearchRequest(text, conversation, cursor or None, limit)
        answer = await self._request(Event.SEARCH, request, protocol.SearchAnswer)
        if answer.next and answer.next == cursor:
            raise AnswerNotUnderstood("a page of messages is followed by itself")
        records = [
            message_record(each, conversation or conversation_name(each, self.user), self.user)
            for each in answer.messages
        ]
        return SearchPage(records, "" if answer.next is UNSET else answer.next)

    async def users(self, query: str = "", limit: int = protocol.DEFAULT_LIMIT) -> list[UserInfo]:
        """Whose id or alias begins with the query; an empty one matches all."""
        request = protocol.UsersRequest(query, limit)
        answer = await self._request(Event.USERS, request, protocol.UsersAnswer)
        return [user_record(user) for user in answer.users[:limit]]

    async def rooms(self) -> list[RoomInfo]:
        """All rooms of the server; ``member`` says which are one's own."""
        request = protocol.RoomRequest("list")
        answer = await self._request(Event.ROOM, request, protocol.RoomsAnswer)
        return [room_record(room) for room in answer.rooms]

    async def create_room(self, id: str, name: str) -> None:
        """One is its owner and a member. Refused with 409 where the id is taken."""
        await self._room(protocol.RoomRequest("create", id, name, self.user))
        await self._joined()

    async def rename_room(self, id: str, name: str) -> None:
        """Only the owner may: else 403."""
        await self._room(protocol.RoomRequest("update", id, name, self.user))

    async def delete_room(self, id: str) -> None:
        """Only the owner may: else 403. What was said in it is gone."""
        await self._room(protocol.RoomRequest("delete", id))
        self._left(protocol.ROOM_PREFIX + id)

    async def join_room(self, id: str) -> None:
        """From here on one reads it as the conversation ``#id``."""
        await self._room(protocol.RoomRequest("join", id))
        await self._joined()

    async def leave_room(self, id: str) -> None:
        """The conversation ``#id`` is gone from the list."""
        await self._room(protocol.RoomRequest("leave", id))
        self._left(protocol.ROOM_PREFIX + id)

    async def _room(self, request: protocol.RoomRequest) -> None:
        await self._request(Event.ROOM, request, protocol.Answer)

    async def block(self, id: str) -> None:
        """Nothing that they write arrives any more, and what they wrote is hidden (``removed``) in
        every conversation, until ``unblock``; they do not learn of it."""
        await self._block(Event.BLOCK, id)

    async def unblock(self, id: str) -> None:
        """What they write arrives again; what they wrote meanwhile is fetched, and counted."""
        await self._block(Event.UNBLOCK, id)

    async def _block(self, event: Event, id: str) -> None:
        try:
            await self._request(event, protocol.BlockRequest(id), protocol.Answer)
        except (AnswerLost, asyncio.CancelledError):
            self._hidden_or_shown(id)
            raise
        self._hidden_or_shown(id)
        await self._joined()

    async def remove(self, message_id: str) -> None:
        """Takes a message away from everybody; for the server's admins."""
        await self._request(Event.REMOVE, protocol.RemoveRequest(message_id), protocol.Answer)

    async def sessions(self) -> list[DeviceInfo]:
        """One's own logins, this one being ``current``."""
        return await self._sessions(protocol.SessionsRequest())

    async def revoke(self, what: str) -> list[DeviceInfo]:
        """Ends the login with this id, ``others`` or ``all``; gives those that are left."""
        return await self._sessions(protocol.SessionsRequest(what))

    async def _sessions(self, request: protocol.SessionsRequest) -> list[DeviceInfo]:
        answer = await self._request(Event.SESSIONS, request, protocol.SessionsAnswer)
        return [session_record(session) for session in answer.sessions]
