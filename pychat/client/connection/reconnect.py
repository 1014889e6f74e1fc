"""Keep the client logged in: connect, log in, and reconnect after every loss."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from importlib import import_module
from time import time as wall_clock
from typing import TYPE_CHECKING, Any, Final

from pychat import protocol
from pychat.client.connection.login import Login, TokenSearch
from pychat.client.errors import LoginRefused, RequestRefused, ServerUnreachable
from pychat.client.models import NOT_LOGGED_IN, TOKEN_AWAITED, ConnectionState, Status

if TYPE_CHECKING:
    from pychat.client.connection.socket import ServerConnection


TICK: Final = 5.0
ASLEEP: Final = 60.0
"""Seconds that the wall clock must be ahead of the loop's, which may stand still meanwhile."""


async def watch_for_sleep(on_woken: Callable[[], None]) -> None:
    """Calls ``on_woken`` after each sleep, until it is cancelled."""
    before = wall_clock()
    while True:
        await asyncio.sleep(TICK)
        now = wall_clock()
        if now - before > TICK + ASLEEP:
            on_woken()
        before = now


RETRY_BASE: Final = 1.0
RETRY_MAX: Final = 30.0


class Reconnector:
    """A task that holds one connection after the other, each logged in.

    ``on_online`` is called after every login, ``on_offline`` when that connection is gone,
    ``on_event`` with every event in between, ``on_status`` when ``status`` has changed,
    ``on_token`` with a new token.
    """

    def __init__(
        self,
        address: str,
        *,
        user: str,
        alias: str,
        password: str | None,
        token: str | Callable[[], str | None] | None,
        on_event: Callable[[str, Any], None],
        on_online: Callable[[], None],
        on_offline: Callable[[], None],
        on_status: Callable[[], None],
        on_token: Callable[[str], None],
    ) -> None:
        self.address = address
        self._search = TokenSearch(token, self._found) if callable(token) else None
        kept = None if callable(token) else token or None
        self.login = Login(user, alias, password, kept, on_token)
        self._on_event = on_event
        self._on_online = on_online
        self._on_offline = on_offline
        self._on_status = on_status
        self.status = Status(ConnectionState.OFFLINE, time.time(), reason="not started")
        self.connection: ServerConnection | None = None
        """Logged in; None in every other state than ONLINE."""
        self._opened: ServerConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._paused = False
        self._sleepwatch: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._outcome: asyncio.Future[None] | None = None

    # --- what the client asks of it ---

    def start(self, *, connect: bool = True, patience: float | None = None) -> None:
        """``patience``: seconds for a token that is looked for. Then it goes on without, and logs
        in with it once it is found."""
        if self._task is None:
            self._set(ConnectionState.CONNECTING)
            self._paused = not connect
            self._task = asyncio.get_running_loop().create_task(self._run(patience))
            self._task.add_done_callback(self._ended)
            self._sleepwatch = asyncio.get_running_loop().create_task(watch_for_sleep(self._woken))
        elif connect and self._paused:
            self._paused = False
            self._wake.set()

    @property
    def has_secret(self) -> bool:
        """Whether there is something to log in with, as far as is known."""
        return self.login.has_secret or self._search is not None

    @property
    def started(self) -> bool:
        return self._task is not None

    async def outcome(self) -> None:
        """Returns at the next login; raises what stands in its way instead."""
        if self._outcome is None or self._outcome.done():
            self._outcome = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._outcome)

    def offer(self, password: str) -> None:
        """Logs in with it as soon as possible; it is forgotten once the server has answered."""
        self.login.offered = password
        if self._opened is not None:
            self._opened.abort("logging in anew")
        self._set(ConnectionState.CONNECTING)
        self._wake.set()

    def forget_credentials(self, reason: str) -> None:
        """The state is REFUSED until the next offer."""
        self.login.forget()
        self._end_search()
        if self._opened is not None:
            self._opened.abort(reason)
        self._wake.set()

    def _woken(self) -> None:
        """The line is dead, and what was waited for is long due: connects anew at once."""
        if self.status.state is ConnectionState.REFUSED:
            return
        if self._opened is not None:
            self._opened.abort("this machine was asleep")
        self._set(ConnectionState.CONNECTING)
        self._wake.set()

    async def close(self) -> None:
        if self._sleepwatch is not None:
            self._sleepwatch.cancel()
        self._end_search()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._settle(ServerUnreachable("the client was closed"))
        self._set(ConnectionState.CLOSED)

    # --- the loop ---

    async def _run(self, patience: float | None) -> None:
        failures = 0
        if self._paused:
            await self._wake.wait()
        if self._search is not None and self.login.offered is None:
            self._wake.clear()
            await self._search.run(self._wake, patience)
        while True:
            self._wake.clear()
            wait = 0.0
            error: Exception | None = None
            try:
                if not self.login.has_secret:
                    looking = self._search is not None and self._search.running
                    why = TOKEN_AWAITED if looking else NOT_LOGGED_IN
                    raise LoginRefused(protocol.Code.UNAUTHORIZED, why)
                reason = await self._connect_once()
                failures = 0
            except LoginRefused as refusal:
                self._set(ConnectionState.REFUSED, str(refusal))
                self._settle(refusal)
                await self._wake.wait()
                failures = 0
                continue
            except RequestRefused as refusal:  # too fast, or the server's store is away
                error, reason, wait = refusal, str(refusal), refusal.retry_after or 0.0
            except ServerUnreachable as failure:
                error, reason = failure, str(failure)
            if self._wake.is_set():
                continue
            if error is not None:
                self._settle(error)
            # Full jitter: after a restart of the server its clients come back spread out.
            wait += random.uniform(0, min(RETRY_MAX, RETRY_BASE * 2**failures))
            failures = min(failures + 1, 10)
            self._set(ConnectionState.OFFLINE, reason, retry_at=time.time() + wait)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            if self.status.state is ConnectionState.OFFLINE:
                self._set(ConnectionState.OFFLINE, reason)

    def _found(self, token: str | None) -> None:
        refused = self.status.state is ConnectionState.REFUSED
        if token:
            self.login.token = token
            if refused:
                self._set(ConnectionState.CONNECTING)
            self._wake.set()
        elif refused and self.status.reason == TOKEN_AWAITED:
            self._set(ConnectionState.REFUSED, NOT_LOGGED_IN)

    def _end_search(self) -> None:
        if self._search is not None:
            self._search.end()

    async def _connect_once(self) -> str:
        """Returns why the connection, once logged in, has ended."""
        # aiohttp and python-socketio take long to import: not on the loop, which may be painting.
        await asyncio.to_thread(import_module, "pychat.client.connection.socket")
        from pychat.client.connection.socket import ServerConnection

        connection = self._opened = ServerConnection(self.address, self._on_event)
        try:
            await connection.open()
            await self.login.log_in(connection)
            self._end_search()
            if not connection.closed.done():
                self.connection = connection
                self._set(ConnectionState.ONLINE)
                self._on_online()
                self._settle(None)
            return await connection.closed
        finally:
            self._opened = None
            if self.connection is not None:
                self.connection = None
                self._on_offline()
            await connection.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._settle(error)
            self._set(ConnectionState.CLOSED, f"stopped by an error: {error!r}")
            task.get_loop().call_exception_handler(
                {"message": "the client's session has failed", "exception": error, "task": task}
            )

    def _settle(self, error: BaseException | None) -> None:
        """Tells ``outcome``."""
        if self._outcome is None or self._outcome.done():
            return
        if error is None:
            self._outcome.set_result(None)
        else:
            self._outcome.set_exception(error)
            self._outcome.exception()  # whoever waited may have gone meanwhile: nothing to warn of

    def _set(
        self, state: ConnectionState, reason: str = "", *, retry_at: float | None = None
    ) -> None:
        since = self.status.since if state is self.status.state else time.time()
        self.status = Status(state, since, retry_at=retry_at, reason=reason)
        self._on_status()
