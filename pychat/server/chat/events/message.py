"""``message``: check a message, find its conversation and submit it to the delivery."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from pychat.protocol import (
    EVERYONE,
    ClientMessage,
    Code,
    ProtocolError,
    check_caption,
    check_data,
    decode,
)
from pychat.server.chat.answers import UnknownRecepient
from pychat.server.chat.delivery import Delivery
from pychat.server.chat.limits import Limiter
from pychat.server.chat.notices.file_links import FileLinks
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import Conversation, Everyone, OnlineUser, Room
from pychat.server.chat.state.mentions import Mentions
from pychat.server.chat.state.reach import Reach
from pychat.server.chat.state.session import ChatSession, Work
from pychat.server.store.base import Store
from pychat.server.store.records import FileRecord

DECODER = msgspec.json.Decoder(ClientMessage)
UUID = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
).fullmatch

LogIn: TypeAlias = Callable[[ChatSession, str], Awaitable[None]]


class Messages:
    """Handle messages. If the conversation is in memory and the message answers no other, nothing
    is awaited, unless it may mention members whose ids have not been read."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        reach: Reach,
        delivery: Delivery,
        limiter: Limiter,
        log_in: LogIn | None,
        mentions: Mentions,
        links: FileLinks,
    ) -> None:
        """``log_in`` logs in the sender of a message where accounts are open; otherwise None."""
        self._mentions = mentions
        self._links = links
        self._log_in = log_in
        self._store = store
        self._directory = directory
        self._reach = reach
        self._delivery = delivery
        self._limiter = limiter
        self._limited = limiter.limits is not None

    def message(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work | None:
        user = session.user
        if user is None:
            if self._log_in is not None and ack_id is None:
                return self._log_in_first(self._log_in, session, payload)
            user = session.require_user()
        message = decode(DECODER, payload)
        if message.sender != user.id and message.sender != session.login_id:
            if self._log_in is not None and session.logged_in_by_message:
                return self._log_in_first(self._log_in, session, payload)
            raise ProtocolError(
                Code.FORBIDDEN, f"must be {user.id}, the user who is logged in", field="sender"
            )
        if message.file is None:
            check_data(message.data)
        else:
            check_caption(message.data)
        client_id = _client_id(message.client_id)
        if self._limited:
            self._limiter.take(user.key, "messages")
            self._limiter.take(user.key, "text", len(message.data))
        recepient = message.recepient
        conversation: Conversation | None
        if recepient == EVERYONE:
            conversation = self._directory.everyone
        elif message.command == "chat":
            conversation = user.pairs.get(recepient)
        elif message.command == "groupchat":
            conversation = self._directory.cached_room(user, recepient)
        else:
            raise ProtocolError(Code.MALFORMED, "must be chat or groupchat", field="command")
        if conversation is None or message.reply_to is not None or message.file is not None:
            return self._find_conversation(session, user, message, client_id, ack_id)
        if "@" in message.data:
            if not self._mentions.ready(conversation, message.data):
                return self._find_conversation(session, user, message, client_id, ack_id)
            mentions = self._mentions.find(user, conversation, message.data)
            self._delivery.submit(
                session, user, conversation, message, client_id, ack_id, mentions=mentions
            )
            return None
        self._delivery.submit(session, user, conversation, message, client_id, ack_id)
        return None

    async def _log_in_first(self, log_in: LogIn, session: ChatSession, payload: bytes) -> None:
        """Handle a message of an original page that has no login.

        Such a page does not ask for acknowledgements.
        """
        message = decode(DECODER, payload)
        check_data(message.data)
        await log_in(session, message.sender)
        work = self.message(session, payload, None)
        if work is not None:
            await work

    async def _find_conversation(
        self,
        session: ChatSession,
        user: OnlineUser,
        message: ClientMessage,
        client_id: bytes | None,
        ack_id: int | None,
    ) -> None:
        conversation: Conversation
        file = None if message.file is None else await self._file(user, message.file)
        if message.recepient == EVERYONE:
            conversation = self._directory.everyone
        elif message.command == "groupchat":
            conversation = await self._directory.joined_room(user, message.recepient, "recepient")
        else:
            try:
                other = await self._directory.user(message.recepient, "recepient")
            except ProtocolError as error:
                if error.code is Code.NOT_FOUND:
                    raise UnknownRecepient(f"there is no account {message.recepient}") from None
                raise
            if self._limited and await self._directory.pair(user, other) is None:
                self._limiter.take(user.key, "conversations")
            conversation = await self._directory.open_pair(user, other)
        answered = None
        if message.reply_to is not None:
            answered = await self._answered(user, conversation, message.reply_to)
        if not self._mentions.ready(conversation, message.data):
            await self._mentions.prepare(conversation, message.data)
            if isinstance(conversation, Room) and user.key not in conversation.members:
                raise _not_a_member()
        mentions = self._mentions.find(user, conversation, message.data)
        self._delivery.submit(
            *(session, user, conversation, message, client_id, ack_id, answered, mentions, file)
        )

    async def _file(self, user: OnlineUser, id: str) -> FileRecord | None:
        """Return the file with this id if the user has uploaded it. The store decides whether it
        can be attached: the message may be a repeated one."""
        await self._links.load()
        file = await self._store.file(id)
        return file if file is not None and file.account == user.key else None

    async def _answered(self, user: OnlineUser, conversation: Conversation, seq: int) -> OnlineUser:
        """Return the sender of the message that the user replies to. Raises ProtocolError 404 if
        the user cannot read it."""
        memberships = self._directory.memberships
        member = await memberships.member(conversation, user)
        found = await self._store.messages([(conversation.key, seq)])
        readable = [
            message
            for message in found
            if seq >= member.first_seq
            and not message.removed
            and message.sender not in user.blocked
        ]
        senders = await self._directory.users({message.sender for message in readable})
        if isinstance(conversation, Everyone):
            await memberships.learn(conversation, self._reach.accounts())
        if not senders:
            raise ProtocolError(
                Code.NOT_FOUND, "there is no such message in this conversation", field="replyTo"
            )
        if isinstance(conversation, Room) and user.key not in conversation.members:
            raise _not_a_member()
        return next(iter(senders.values()))


def _not_a_member() -> ProtocolError:
    return ProtocolError(Code.FORBIDDEN, "you are not in this room", field="recepient")


def _client_id(value: str | None) -> bytes | None:
    if value is None:
        return None
    if not UUID(value):
        raise ProtocolError(Code.MALFORMED, "must be a UUID", field="clientId")
    return bytes.fromhex(value.replace("-", ""))
