"""Webhooks: post a message to a room for a program that has the token of a hook."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from uuid import UUID

import msgspec
from msgspec import UNSET

from pychat.protocol import Answer, ClientMessage, Code, ProtocolError, check_data
from pychat.server.chat.accounts.authentication import token_hash
from pychat.server.chat.delivery import Delivery
from pychat.server.chat.limits import Limiter
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import OnlineUser, Room
from pychat.server.chat.state.mentions import Mentions
from pychat.server.chat.state.session import ChatSession, Packet
from pychat.server.store.base import Store
from pychat.server.store.records import HookRecord

_ANSWER = msgspec.json.Decoder(Answer)


class Hooks:
    """Post messages to rooms. The sender is the account of the hook, which is not logged in."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        delivery: Delivery,
        limiter: Limiter,
        mentions: Mentions,
    ) -> None:
        self._store = store
        self._directory = directory
        self._delivery = delivery
        self._limiter = limiter
        self._mentions = mentions

    async def admit(self, token: str) -> None:
        """Count a request, before its body is read. Raises StoreError, and ProtocolError 404 if
        there is no such hook, or 429."""
        hook = await self._hook(token)
        self._limiter.take(hook.account, "messages")

    async def post(self, token: str, text: str, key: str | None = None) -> None:
        """Post the message of an admitted request, and return when it is stored and delivered.

        ``key``: names the message. A message with the same key of the same hook is stored once.
        Raises StoreError, and ProtocolError: 400 or 413 for the text, 403 if the hook's account is
        disabled, 404 if there is no such hook or its room was deleted, 429, 503.
        """
        check_data(text)
        hook = await self._hook(token)
        user = await self._user(hook)
        room = await self._room(hook)
        self._limiter.take(user.key, "text", len(text))
        answered = _Answered()
        client_id = None if key is None else _client_id(token, key)
        message = ClientMessage(
            user.id,
            room.id,
            text,
            command="groupchat",
            client_id=None if client_id is None else str(client_id),
        )
        await self._mentions.prepare(room, text)
        mentions = self._mentions.find(user, room, text)
        self._delivery.submit(
            *(ChatSession(answered), user, room, message),
            None if client_id is None else client_id.bytes,
            0,
            mentions=mentions,
        )
        answer = await answered.answer
        if answer.code not in (Code.DONE, Code.STORED):
            after = None if answer.retry_after is UNSET else answer.retry_after
            raise ProtocolError(Code(answer.code), answer.message, retry_after=after)

    async def _hook(self, token: str) -> HookRecord:
        hook = await self._store.hook(token_hash(token))
        if hook is None:
            raise ProtocolError(Code.NOT_FOUND, "there is no such hook")
        return hook

    async def _user(self, hook: HookRecord) -> OnlineUser:
        # Read each time: the operator may have disabled the account.
        accounts = await self._store.accounts([hook.account])
        if not accounts or accounts[0].disabled:
            raise ProtocolError(Code.FORBIDDEN, "the account of this hook is disabled")
        return self._directory.keep(accounts[0])

    async def _room(self, hook: HookRecord) -> Room:
        found = await self._directory.conversations([hook.conversation])
        room = found.get(hook.conversation)
        if isinstance(room, Room):
            await self._directory.memberships.settle(room)
        if not isinstance(room, Room) or room.deleted:
            raise ProtocolError(Code.NOT_FOUND, "the room of this hook was deleted")
        room.require_decided()
        return room


def _client_id(token: str, key: str) -> UUID:
    """Return the clientId of a message. All readers of the room see it; it reveals nothing."""
    digest = hmac.digest(token.encode(), key.encode(), "sha256")
    return UUID(bytes=digest[:16])


class _Answered:
    """A ChatConnection that waits for the answer to one message."""

    sid = ""
    context: ChatSession
    remote_address = ""
    user_agent = ""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def send(self, packet: Packet) -> None: ...

    def when_received(self, callback: Callable[[], None]) -> None: ...

    def acknowledge(self, ack_id: int, payload: bytes) -> None:
        if not self.answer.done():
            self.answer.set_result(_ANSWER.decode(payload))

    def admit(self) -> None: ...

    def close(self) -> None: ...
