"""ChatClient: the public interface of the headless client."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pychat import protocol
from pychat.client.api.requests import ServerRequests
from pychat.client.api.writing import MessageWriter
from pychat.client.connection.address import normalized_address
from pychat.client.connection.reconnect import load_connection_class
from pychat.client.core import ClientCore
from pychat.client.errors import RequestRefused, ServerUnreachable
from pychat.client.events import Subscription
from pychat.client.models import ConversationInfo, LoginResult, ProfileInfo, Status
from pychat.protocol import Event

TOKEN_TIMEOUT: Final = 1.0
"""Seconds to wait for the token. A keyring that takes longer is asking the user to unlock it, and
the user may prefer to type the password."""
PROBE_INTERVAL: Final = 2.0
"""Upper limit, in seconds, of the random wait between two probes of a server."""


class ChatClient(MessageWriter, ServerRequests):
    """Connection of one user to a chat server.

    The client reconnects by itself, fetches missed messages, and sends unanswered messages again.
    All methods must be called in the thread of the event loop.

    ``server``: "127.0.0.1:3000", "http://…" or "https://…".
    ``user``: the login id.
    ``password``: logs in, and creates the account if ``create`` allows it.
    ``create``: None creates the account if there is none. False never does: a login with an unknown
    id is refused with 404, or 401 where only the operator creates accounts. True creates the
    account with the first login, which is refused with 409 if the id is taken, or 400 if the
    password is too short; later logins use it.
    ``token``: of an earlier login (see ``on_token``), or a function that returns it and is called
    in a thread. It is tried before the password.
    ``alias``: the name shown beside the id. An empty one keeps the current alias.
    ``cache``: file for conversations, messages, outbox and drafts. One process can open it at a
    time. None keeps them in memory.
    ``on_token``: called with each new token, and with an empty string after ``logout``. A token is
    as secret as a password.

    Raises InvalidAddress.
    """

    def __init__(
        self,
        server: str,
        *,
        user: str,
        password: str | None = None,
        token: str | Callable[[], str | None] | None = None,
        create: bool | None = None,
        alias: str = "",
        cache: Path | str | None = None,
        on_token: Callable[[str], None] | None = None,
    ) -> None:
        self._core = ClientCore(
            normalized_address(server),
            user=user,
            alias=alias,
            password=password,
            token=token,
            create=create,
            cache=cache,
            on_token=on_token or (lambda _token: None),
        )
        self.cache_locked = False
        """Whether another process has the cache file open, so that this client uses memory."""

    @property
    def server(self) -> str:
        """The normalized address, for example "http://127.0.0.1:3000"."""
        return self._core.reconnector.address

    @property
    def user(self) -> str:
        """The login id. After the login, as the server spells it."""
        return self._core.reconnector.login.user

    @property
    def alias(self) -> str:
        """The name shown beside the id."""
        return self._core.reconnector.login.alias

    @property
    def profile(self) -> ProfileInfo:
        """The user's id, alias and status, as others see them. Complete after the first login."""
        return self._core.profile

    @property
    def token(self) -> str | None:
        """The token of this login. None before the first login and after a refusal."""
        return self._core.reconnector.login.token

    @property
    def login_result(self) -> LoginResult:
        """The server's answer to the last login. Its message is empty before the first one."""
        return self._core.reconnector.login.result

    @property
    def status(self) -> Status:
        """The current status."""
        return self._core.status

    # --- connect and close ---

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
        """Use memory instead of the cache file. Call it before ``connect`` or ``start``."""
        self._core.keep_in_memory()

    async def connect(self) -> None:
        """Log in, load the conversations, and return. The client reconnects by itself from then on.

        The delivered cursors are moved by ``messages`` and ``mark_delivered`` only. Raises
        LoginRefused, RequestRefused, ServerUnreachable and CacheUnusable; after an error the client
        is closed.
        """
        if not self._core.reconnector.has_credentials:
            self._core.reconnector.login.password = ""  # for servers with open accounts
        self._core.open()
        try:
            self._core.reconnector.start()
            await self._core.reconnector.login_result()
            await self._core.sync.loaded()
        except BaseException:
            await self.close()
            raise

    def start(self, *, connect: bool = True) -> None:
        """Load the cache, connect in the background, and return at once.

        ``events`` reports what happens. Messages are marked as delivered when they arrive.
        ``connect=False`` only loads the cache; call ``start`` again, or ``login``, to connect.

        Without password and token the state is REFUSED until ``login`` is called; so it is if the
        token lookup takes longer than TOKEN_TIMEOUT, until it returns a token. If another process
        has the cache file open, the client uses memory and sets ``cache_locked``. Raises
        CacheUnusable.
        """
        self.cache_locked = self._core.open_or_use_memory() or self.cache_locked
        self._core.transcripts.fetch_all = False
        self._core.transcripts.start_publishing()
        self._core.reconnector.start(connect=connect, token_timeout=TOKEN_TIMEOUT)

    async def login(self, password: str, *, create: bool | None = None) -> LoginResult:
        """Log in with this password and return ``login_result``. Starts the client if necessary.

        ``create``: as for the class, but for this login only.
        The password is forgotten once the server has answered. Raises LoginRefused, RequestRefused
        and ServerUnreachable. After ServerUnreachable the client retries with this password.
        """
        if not self._core.reconnector.started:
            self.start()
        self._core.reconnector.try_password(password, create)
        await self._core.reconnector.login_result()
        return self.login_result

    async def logout(self) -> None:
        """Revoke the token on the server and forget it. The state becomes REFUSED."""
        await self._core.request(Event.LOGOUT, protocol.LogoutRequest(), protocol.Answer)
        self._core.reconnector.forget_credentials("logged out")
        self._core.on_token("")

    async def close(self) -> None:
        """Disconnect and end all iterators. The outbox stays in the cache file."""
        await self._core.close()

    async def probe_server(self, on_result: Callable[[str], None]) -> None:
        """Check repeatedly whether the server answers, without a login. Runs until cancelled.

        ``on_result`` is called after each check: with why the server cannot be reached, in one
        line, or with an empty string if it can.
        """
        connection_class = await load_connection_class()
        while True:
            connection = connection_class(self.server, lambda _name, _data: None)
            try:
                await connection.open()
                on_result("")
                await connection.closed
            except ServerUnreachable as error:
                on_result(str(error))
            finally:
                await connection.close()
            await asyncio.sleep(random.uniform(0, PROBE_INTERVAL))

    # --- events and conversations ---

    def events(self) -> Subscription:
        """Return an iterator over all events from this call on. Each iterator has its own queue."""
        return self._core.subscribe()

    @property
    def conversations(self) -> list[ConversationInfo]:
        """The known conversations, newest first."""
        return [self._core.shown.conversation(each) for each in self._core.roster.newest_first()]

    def conversation(self, name: str) -> ConversationInfo | None:
        """Return a conversation, or None if it is unknown."""
        known = self._core.roster.get(name)
        return None if known is None else self._core.shown.conversation(known)

    async def mark_delivered(self, name: str, seq: int) -> None:
        """Move the delivered cursor forward. While offline, it is sent after the next login.

        Raises RequestRefused if the conversation is unknown or ``seq`` is after its last message.
        """
        self._check_cursor(name, seq)
        self._core.move_cursor(Event.DELIVERED, name, seq)

    async def mark_read(self, name: str, seq: int) -> None:
        """Move the read cursor, and the delivered one with it. Errors as in ``mark_delivered``."""
        self._check_cursor(name, seq)
        self._core.move_cursor(Event.READ, name, seq)

    def _check_cursor(self, name: str, seq: int) -> None:
        known = self._core.roster.get(name)
        if known is None:
            raise RequestRefused(protocol.Code.NOT_FOUND, f"there is no conversation {name}")
        if seq > known.last_seq:
            raise RequestRefused(
                protocol.Code.MALFORMED, f"seq: {name} has {known.last_seq} messages, not {seq}"
            )
