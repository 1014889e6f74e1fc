"""ChatClient: the public face of the headless client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec

from pychat import protocol
from pychat.client.api.reading import MessageReader
from pychat.client.api.writing import MessageWriter
from pychat.client.connection.address import normalized_address, watch_server
from pychat.client.core import Core
from pychat.client.errors import RequestRefused
from pychat.client.events import Subscription
from pychat.client.models import ConversationInfo, Status
from pychat.client.wire import is_shared
from pychat.protocol import Event

T = TypeVar("T")

TOKEN_PATIENCE: Final = 1.0
"""Seconds. A keyring that takes longer asks somebody, who may rather type the password."""


class ChatClient(MessageReader, MessageWriter):
    """One user's connection to a chat server: it comes back by itself, fetches what it missed, and
    sends again what was not answered.

    ``server``: "127.0.0.1:3000", "http://…" or "https://…". ``password`` claims the id or logs in;
    ``token`` (of an earlier login, see ``on_token``) comes first where both are given; it may be a
    function that finds it, which is called in a thread. ``cache``: a file for conversations,
    messages, outbox and drafts (one process at a time); None keeps them in memory. All methods
    belong to the event loop's thread.
    """

    def __init__(
        self,
        server: str,
        *,
        user: str,
        password: str | None = None,
        token: str | Callable[[], str | None] | None = None,
        alias: str = "",
        cache: Path | str | None = None,
        on_token: Callable[[str], None] | None = None,
    ) -> None:
        """Raises InvalidAddress. ``on_token`` is called with each new token: keep it secret; and
        with an empty one when it has ended with ``logout``."""
        self._core = Core(
            normalized_address(server),
            user=user,
            alias=alias,
            password=password,
            token=token,
            cache=cache,
            on_token=on_token or (lambda _token: None),
        )
        self.cache_in_use = False
        """Another process has the cache file: this client keeps its drafts, outbox and messages in
        memory, and they end with it."""

    @property
    def server(self) -> str:
        """The normalised address, e.g. "http://127.0.0.1:3000"."""
        return self._core.session.address

    @property
    def user(self) -> str:
        """The login id, as the server writes it once logged in."""
        return self._core.session.login.user

    @property
    def alias(self) -> str:
        """The name shown beside the id."""
        return self._core.session.login.alias

    @property
    def token(self) -> str | None:
        """Logs in again without the password; None before the first login, and when refused."""
        return self._core.session.login.token

    @property
    def said(self) -> str:
        """The server's words at the last login: "logged in", or that the id was claimed."""
        return self._core.session.login.said

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

    def keep_in_memory(self) -> None:
        """Does without the cache file, from before the client is started or connected."""
        self._core.keep_in_memory()

    async def connect(self) -> None:
        """Logs in, and returns once the conversations are known; comes back by itself from then on.

        The delivered cursor is the caller's: ``messages`` moves it, or ``mark_delivered`` does.
        Raises LoginRefused, ServerUnreachable, CacheUnusable; the client is closed then.
        """
        if not self._core.session.has_secret:
            self._core.session.login.password = ""  # enough where the accounts are open
        self._core.open()
        try:
            self._core.session.start()
            await self._core.session.outcome()
            await self._core.sync.loaded()
        except BaseException:
            await self.close()
            raise

    def start(self, *, connect: bool = True) -> None:
        """Returns at once and works in the background; all that happens is told by ``events``.

        What is in the cache is known when this returns. Without ``connect`` it connects only once
        it is started again, or by ``login``. Messages are marked delivered as they arrive. With
        neither password nor token the state is REFUSED until ``login``; so it is while a token is
        looked for, from TOKEN_PATIENCE on. A cache file that another process has open is left to
        it, see ``cache_in_use``. Raises CacheUnusable.
        """
        self.cache_in_use = self._core.open_beside() or self.cache_in_use
        self._core.logs.whole = False
        self._core.logs.tell()
        self._core.session.start(connect=connect, patience=TOKEN_PATIENCE)

    async def login(self, password: str) -> str:
        """Tries (again) with this password, which is not kept; returns once logged in, with what
        the server says: "logged in", or that the id was claimed. Starts the client if it was not
        started.

        Raises LoginRefused, ServerUnreachable (it goes on trying then, with this password).
        """
        if not self._core.session.started:
            self.start()
        self._core.session.offer(password)
        await self._core.session.outcome()
        return self._core.session.login.said

    async def watch_server(self, tell: Callable[[str], None]) -> None:
        """For a form to log in: until it is cancelled, ``tell`` gets why the server cannot be
        reached, in one line, and an empty one once it can be. Nobody is logged in by it."""
        await watch_server(self.server, tell)

    async def logout(self) -> None:
        """The token ends, here and on the server; the state is REFUSED then."""
        await self._request(Event.LOGOUT, protocol.LogoutRequest(), protocol.Answer)
        self._core.session.forget_credentials("logged out")
        self._core.on_token("")

    async def close(self) -> None:
        """Ends the connection and all iterators. The outbox stays in the cache file."""
        await self._core.close()

    @property
    def status(self) -> Status:
        """Where the client stands now."""
        return self._core.status

    def events(self) -> Subscription:
        """All that changes, from this call on, each iterator with a queue of its own."""
        return self._core.subscribe()

    # --- conversations ---

    @property
    def conversations(self) -> list[ConversationInfo]:
        """What is known now, newest first."""
        return self._core.roster.newest_first()

    def conversation(self, name: str) -> ConversationInfo | None:
        """The one with this name, if it is known."""
        return self._core.roster.get(name)

    async def mark_delivered(self, name: str, seq: int) -> None:
        """Moves one's delivered cursor forward to seq. Kept and sent later while offline.

        Raises RequestRefused for an unknown conversation or a seq beyond its last.
        """
        self._check_cursor(name, seq)
        self._core.move(Event.DELIVERED, name, seq)

    async def mark_read(self, name: str, seq: int) -> None:
        """Moves one's read cursor forward to seq, and the delivered one along."""
        self._check_cursor(name, seq)
        self._core.move(Event.READ, name, seq)

    def _check_cursor(self, name: str, seq: int) -> None:
        known = self._core.roster.get(name)
        if known is None:
            raise RequestRefused(protocol.Code.NOT_FOUND, f"there is no conversation {name}")
        if seq > known.last_seq:
            raise RequestRefused(
                protocol.Code.MALFORMED, f"seq: {name} has {known.last_seq} messages, not {seq}"
            )

    # --- requests ---

    async def _request(self, event: Event, payload: msgspec.Struct, answer: type[T]) -> T:
        return await self._core.asking.request(event, payload, answer)

    async def _joined(self) -> None:
        await self._core.sync.refreshed()

    def _hidden_or_shown(self, id: str) -> None:
        if not self._core.logs.whole:  # nothing is told twice to ``messages``
            shared = [each.name for each in self.conversations if is_shared(each.name)]
            self._core.sync.read_anew([self._core.roster.known_name(id), *shared])

    def _left(self, name: str) -> None:
        self._core.roster.left(name)
        self._core.sync.overtaken()
