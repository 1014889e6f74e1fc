"""Bot: calls a function for each command or mention that a ChatClient receives."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from pychat.client import ChatClient, RequestRefused
from pychat.client.models import MessageInfo
from pychat.protocol import ROOM_PREFIX

log = logging.getLogger(__name__)

TIMEOUT: Final = 60.0
"""Seconds that a handler may take."""
_PUNCTUATION: Final = "!?.,:;"
_ANSWERS: Final = uuid.UUID("6f1c1d5e-3e0b-4a5c-9d4b-0d6b1f6d7a11")
"""Namespace of the client ids of answers."""


class BotRequest:
    """A message that a handler answers.

    ``message``: the message. ``command``: the name of the command, empty for a mention. ``text``:
    the message without the bot's name and the command. ``words``: the words of ``text``.
    """

    def __init__(self, client: ChatClient, message: MessageInfo, command: str, text: str) -> None:
        self.message = message
        self.command = command
        self.text = text
        self.words = text.split()
        self._client = client
        self._answers = 0

    async def answer(self, text: str) -> MessageInfo:
        """Send a message to the conversation of the request, and return it when it is stored.

        If the request is handled again after a restart, its first answer is not stored again, nor
        its second one, and so on. Raises RequestRefused.
        """
        self._answers += 1
        place = f"{self._client.server} {self._client.user} {self.message.id} {self._answers}"
        client_id = str(uuid.uuid5(_ANSWERS, place))
        return await self._client.send(self.message.conversation, text, client_id=client_id)


BotHandler = Callable[[BotRequest], Awaitable[str | None]]
"""Handles a request. A text that it returns is sent as the answer."""


class Bot:
    """Calls handlers for the messages of others, one after the other.

    A message is for the bot if it is private, if it mentions the bot (``@id``), or if it begins
    with ``prefix`` and the name of a command. A private message or a mention needs no prefix.

    Each message is handled at least once, in the order of its conversation: if the process ends
    while a handler runs, the message is handled again after the next start. Messages that arrive
    while the bot is offline are handled later. The bot's own messages are never handled.

    ``prefix``: what commands begin with. ``names``: words that mention the bot like its id does.
    ``timeout``: seconds after which a handler is cancelled, because it keeps the others waiting.
    """

    def __init__(
        self,
        client: ChatClient,
        *,
        prefix: str = "!",
        names: Sequence[str] = (),
        timeout: float = TIMEOUT,
    ) -> None:
        self.client = client
        self._prefix = prefix
        self._names = {name.casefold() for name in names}
        self._timeout = timeout
        self._commands: dict[str, BotHandler] = {}
        self._mention: BotHandler | None = None

    def command(self, name: str, *aliases: str) -> Callable[[BotHandler], BotHandler]:
        """Decorate the handler of a command. The case of its name does not matter.

        Raises ValueError if a name is not one word, or has a handler already.
        """

        def add(handler: BotHandler) -> BotHandler:
            for each in (name, *aliases):
                word = each.casefold()
                if word.split() != [word] or word in self._commands:
                    raise ValueError(f"a command must be one new word: {each!r}")
                self._commands[word] = handler
            return handler

        return add

    def mention(self, handler: BotHandler) -> BotHandler:
        """Decorate the handler of private messages and mentions without a known command."""
        self._mention = handler
        return handler

    async def run(self) -> None:
        """Handle messages until the client is closed. The client must be connected."""
        async for message in self.client.messages():
            found = self._find(message)
            if found is not None:
                await self._handle(*found)

    def _find(self, message: MessageInfo) -> tuple[BotHandler, BotRequest] | None:
        text, begins = self._without_name(message.text.strip())
        has_prefix = bool(self._prefix) and text.startswith(self._prefix)
        bare = text[len(self._prefix) :].lstrip() if has_prefix else text
        is_for_bot = begins or message.conversation == message.sender or self._is_named(message)
        word, rest = [*bare.split(maxsplit=1), "", ""][:2]
        command = word.casefold().rstrip(_PUNCTUATION)
        handler = self._commands.get(command)
        if handler is not None and (has_prefix or is_for_bot):
            return handler, BotRequest(self.client, message, command, rest)
        if self._mention is not None and is_for_bot:
            return self._mention, BotRequest(self.client, message, "", text)
        return None

    def _without_name(self, text: str) -> tuple[str, bool]:
        """Return the text without the bot's name at its beginning, and whether it was there."""
        mention = f"@{self.client.user}".casefold()
        if text[: len(mention)].casefold() == mention and not text[len(mention) :][:1].isalnum():
            return text[len(mention) :].lstrip(_PUNCTUATION + " "), True
        word, _, rest = text.partition(" ")
        if word.strip(_PUNCTUATION).casefold() in self._names:
            return rest.lstrip(), True
        return text, False

    def _is_named(self, message: MessageInfo) -> bool:
        if self.client.user in message.mentions:
            return True
        folded, mention = message.text.casefold(), f"@{self.client.user}".casefold()
        if message.conversation.startswith(ROOM_PREFIX):
            return self._is_called(folded)  # the server finds mentions in rooms
        start = folded.find(mention)
        while start >= 0:
            end = start + len(mention)
            if not folded[start - 1 : start].isalnum() and not folded[end : end + 1].isalnum():
                return True
            start = folded.find(mention, end)
        return self._is_called(folded)

    def _is_called(self, folded: str) -> bool:
        return bool(self._names) and any(
            word.strip(_PUNCTUATION) in self._names for word in folded.split()
        )

    async def _handle(self, handler: BotHandler, request: BotRequest) -> None:
        """Call a handler and send its answer. An error is logged, and answered in one line."""
        message = request.message
        what = request.command or "the answer"
        try:
            async with asyncio.timeout(self._timeout):
                text = await handler(request)
        except TimeoutError:
            log.warning("bot: %s of %s timed out", what, message.id)
            text = f"Sorry, {what} took too long."
        except Exception:
            # Handlers are other people's code. One that fails must not end the bot.
            log.exception("bot: %s of %s failed", what, message.id)
            text = f"Sorry, {what} failed."
        if text:
            try:
                await request.answer(text)
            except RequestRefused as error:
                # For example too long, or the bot is no longer a member.
                log.warning("bot: answer refused: message=%s reason=%s", message.id, error)
