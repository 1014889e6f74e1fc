"""ChatClient: the public face of the headless client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from pychat import protocol
from pychat.client.events import ClientEvent
from pychat.client.models import Conversation, Message, Status
from pychat.client.requests import ServerRequests

T = TypeVar("T")


class ChatClient(ServerRequests):
    """One user's connection to a chat server: it comes back by itself, fetches what it missed, and
    sends again what was not answered.

    ``server``: "127.0.0.1:3000", "http://…" or "https://…". ``password`` claims the id or logs in;
    ``token`` (of an earlier login, see ``on_token``) comes first where both are given. ``cache``: a
    file for conversations, messages, outbox and drafts (one process at a time); None keeps them in
    memory. All methods belong to the event loop's thread.
    """

    server: str
    """The normalised address, e.g. "http://127.0.0.1:3000"."""
    user: str
    alias: str
    token: str | None

    def __init__(
        self,
        server: str,
        *,
        user: str,
        password: str | None = None,
        token: str | None = None,
        alias: str = "",
        cache: Path | str | None = None,
        on_token: Callable[[str], None] | None = None,
    ) -> None:
        """Raises InvalidAddress. ``on_token`` is called with each new token: keep it secret."""
        raise NotImplementedError

    # --- life ---

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Logs in, and returns once the conversations are known; comes back by itself from then on.

        The delivered cursor is the caller's: ``messages`` moves it, or ``mark_delivered`` does.
        Raises LoginRefused, ServerUnreachable, CacheUnusable; the client is closed then.
        """
        raise NotImplementedError

    def start(self) -> None:
        """Returns at once and works in the background; all that happens is told by ``events``.

        What is in the cache is known when this returns. Messages are marked delivered as they
        arrive. With neither password nor token the state is REFUSED until ``login``. Raises
        CacheUnusable.
        """
        raise NotImplementedError

    async def login(self, password: str) -> None:
        """Tries (again) with this password, which is not kept; returns once logged in.

        Raises LoginRefused, ServerUnreachable (it goes on trying then, with this password).
        """
        raise NotImplementedError

    async def logout(self) -> None:
        """The token ends, here and on the server; the state is REFUSED then."""
        raise NotImplementedError

    async def close(self) -> None:
        """Ends the connection and all iterators. The outbox stays in the cache file."""
        raise NotImplementedError

    @property
    def status(self) -> Status:
        """Where the client stands now."""
        raise NotImplementedError

    def events(self) -> AsyncIterator[ClientEvent]:
        """All that changes, from this call on, each iterator with a queue of its own."""
        raise NotImplementedError

    # --- conversations and messages ---

    @property
    def conversations(self) -> list[Conversation]:
        """What is known now, newest first."""
        raise NotImplementedError

    def conversation(self, name: str) -> Conversation | None:
        """The one with this name, if it is known."""
        raise NotImplementedError

    def cached_messages(self, name: str, limit: int = 500) -> list[Message]:
        """The newest that are known without asking, oldest first, without a gap; then the outbox.

        Reaches as far back as was fetched: ``history`` with ``before`` goes on from there.
        """
        raise NotImplementedError

    async def messages(self) -> AsyncIterator[Message]:
        """What others write, each message once and in order, from the delivered cursor on.

        The cursor moves when the next message is asked for: a message whose handling did not end
        comes again after the next start.
        """
        raise NotImplementedError
        yield

    async def send(self, to: str, text: str) -> Message:
        """Returns once the server has stored it, with its id and seq; waits while offline.

        Raises RequestRefused. If this call is cancelled, the message is not sent again, but it may
        have been stored.
        """
        raise NotImplementedError

    def post(self, to: str, text: str) -> Message:
        """Into the outbox, and returns at once: told as ``MessageAdded`` now, and as
        ``MessageChanged`` when it is sent or refused. Raises RequestRefused for what may not be
        sent at all (empty, too long, not a conversation's name).
        """
        raise NotImplementedError

    def retry(self, client_id: str) -> None:
        """Sends a FAILED message again, at the end of the outbox."""
        raise NotImplementedError

    def discard(self, client_id: str) -> None:
        """Takes a message out of the outbox: told as ``MessageChanged``, removed."""
        raise NotImplementedError

    async def mark_delivered(self, name: str, seq: int) -> None:
        """Moves one's delivered cursor forward to seq. Kept and sent later while offline.

        Raises RequestRefused for an unknown conversation or a seq beyond its last.
        """
        raise NotImplementedError

    async def mark_read(self, name: str, seq: int) -> None:
        """Moves one's read cursor forward to seq, and the delivered one along."""
        raise NotImplementedError

    def typing(self, to: str, typing: bool) -> None:
        """Call it at every key: it is sent every 3 s at most, and stops by itself after 5 s."""
        raise NotImplementedError

    def draft(self, name: str) -> str:
        """What was typed in this conversation and not sent."""
        raise NotImplementedError

    def set_draft(self, name: str, text: str) -> None:
        """Keeps it, across restarts where there is a cache file."""
        raise NotImplementedError

    async def _request(self, event: protocol.Event, payload: msgspec.Struct, answer: type[T]) -> T:
        raise NotImplementedError
