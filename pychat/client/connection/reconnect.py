"""Keep the client logged in: connect, reconnect after losses, send requests over the connection."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from importlib import import_module
from time import time as wall_clock
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from pychat import protocol
from pychat.client.connection.login import Login, TokenLookup
from pychat.client.errors import AnswerLost, LoginRefused, RequestRefused, ServerUnreachable
from pychat.client.models import NOT_LOGGED_IN, TOKEN_AWAITED, ConnectionState, Status
from pychat.client.wire import ANSWER_TIMEOUT, check_refusal, parse

if TYPE_CHECKING:
    from pychat.client.connection.socket import ServerConnection

RETRY_BASE: Final = 1.0
"""Upper limit, in seconds, of the wait after the first failure. It doubles with each failure."""
RETRY_MAX: Final = 30.0
"""Upper limit, in seconds, of the wait between two attempts."""
SLEEP_CHECK_INTERVAL: Final = 5.0
"""Seconds between two checks for sleep."""
MIN_SLEEP: Final = 60.0
"""Seconds that the wall clock must jump ahead to count as sleep of the machine."""


async def load_connection_class() -> type[ServerConnection]:
    """Import ServerConnection in a thread.

    aiohttp and python-socketio take long to import, and the event loop may be drawing a screen.
    """
    await asyncio.to_thread(import_module, "pychat.client.connection.socket")
    from pychat.client.connection.socket import ServerConnection

    return ServerConnection


async def watch_for_sleep(on_woken: Callable[[], None]) -> None:
    """Call ``on_woken`` whenever the machine has woken from sleep. Runs until cancelled.

    The event loop's clock may stop during sleep, the wall clock does not.
    """
    before = wall_clock()
    while True:
        await asyncio.sleep(SLEEP_CHECK_INTERVAL)
        now = wall_clock()
        if now - before > SLEEP_CHECK_INTERVAL + MIN_SLEEP:
            on_woken()
        before = now


class Reconnector:
    """Background task that opens one logged-in connection after another.

    ``on_online`` is called after every login, ``on_offline`` when that connection has ended,
    ``on_event`` with the name and data of every event, ``on_status`` when ``status`` has changed,
    and ``on_token`` with every new token.
    """

    def __init__(
        self,
        address: str,
        *,
        user: str,
        alias: str,
        password: str | None,
        token: str | Callable[[], str | None] | None,
        create: bool | None = None,
        on_event: Callable[[str, object], None],
        on_online: Callable[[], None],
        on_offline: Callable[[], None],
        on_status: Callable[[], None],
        on_token: Callable[[str], None],
    ) -> None:
        self.address = address
        self._lookup = TokenLookup(token, self._token_found) if callable(token) else None
        known_token = None if callable(token) else token or None
        self.login = Login(user, alias, password, known_token, on_token, create)
        self._on_event = on_event
        self._on_online = on_online
        self._on_offline = on_offline
        self._on_status = on_status
        self.status = Status(ConnectionState.OFFLINE, time.time(), reason="not started")
        self.connection: ServerConnection | None = None
        """The logged-in connection. None unless the state is ONLINE."""
        self._current: ServerConnection | None = None
        """The connection from its opening to its end, logged in or not."""
        self._task: asyncio.Task[None] | None = None
        self._paused = False
        self._sleep_watch: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._login_result: asyncio.Future[None] | None = None

    # --- control ---

    def start(self, *, connect: bool = True, token_timeout: float | None = None) -> None:
        """Start the background task. Does nothing if it is running.

        ``connect=False`` pauses it until the next ``start`` or ``try_password``.
        ``token_timeout``: seconds to wait for the token lookup. After that the task continues
        without a token, and logs in when the lookup has found one.
        """
        if self._task is None:
            self._set(ConnectionState.CONNECTING)
            self._paused = not connect
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._run(token_timeout))
            self._task.add_done_callback(self._run_ended)
            self._sleep_watch = loop.create_task(watch_for_sleep(self._woken))
        elif connect and self._paused:
            self._paused = False
            self._wake.set()

    @property
    def has_credentials(self) -> bool:
        """Whether there is a password, a token, or a token lookup."""
        return self.login.has_credentials or self._lookup is not None

    @property
    def started(self) -> bool:
        return self._task is not None

    async def login_result(self) -> None:
        """Wait for the result of the next login attempt.

        Raises LoginRefused, RequestRefused or ServerUnreachable if it fails.
        """
        if self._login_result is None or self._login_result.done():
            self._login_result = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._login_result)

    def try_password(self, password: str, create: bool | None) -> None:
        """Reconnect now with this password. It is forgotten once the server has answered.

        ``create``: see Login.
        """
        self.login.try_password(password, create)
        if self._current is not None:
            self._current.abort("logging in again")
        self._set(ConnectionState.CONNECTING)
        self._wake.set()

    def forget_credentials(self, reason: str) -> None:
        """Disconnect. The state becomes REFUSED until ``try_password`` is called."""
        self.login.forget_credentials()
        self._cancel_lookup()
        if self._current is not None:
            self._current.abort(reason)
        self._wake.set()

    def _woken(self) -> None:
        # The connection is dead, and a retry that was scheduled before the sleep is overdue.
        if self.status.state is ConnectionState.REFUSED:
            return
        if self._current is not None:
            self._current.abort("this machine was asleep")
        self._set(ConnectionState.CONNECTING)
        self._wake.set()

    async def close(self) -> None:
        """Disconnect and end the background task. The state becomes CLOSED."""
        if self._sleep_watch is not None:
            self._sleep_watch.cancel()
        self._cancel_lookup()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._set_login_result(ServerUnreachable("the client was closed"))
        self._set(ConnectionState.CLOSED)

    # --- background task ---

    async def _run(self, token_timeout: float | None) -> None:
        failures = 0
        if self._paused:
            await self._wake.wait()
        if self._lookup is not None and self.login.trial_password is None:
            self._wake.clear()
            await self._lookup.run(self._wake, token_timeout)
        while True:
            self._wake.clear()
            wait = 0.0
            error: Exception | None = None
            try:
                if not self.login.has_credentials:
                    looking_up = self._lookup is not None and self._lookup.running
                    raise LoginRefused(
                        protocol.Code.UNAUTHORIZED, TOKEN_AWAITED if looking_up else NOT_LOGGED_IN
                    )
                reason = await self._connect_once()
                failures = 0
            except LoginRefused as refusal:
                self._set(ConnectionState.REFUSED, str(refusal))
                self._set_login_result(refusal)
                await self._wake.wait()
                failures = 0
                continue
            except RequestRefused as refusal:  # rate limit, or the server's store is unavailable
                error, reason, wait = refusal, str(refusal), refusal.retry_after or 0.0
            except ServerUnreachable as failure:
                error, reason = failure, str(failure)
            if self._wake.is_set():
                continue
            if error is not None:
                self._set_login_result(error)
            # Full jitter spreads the clients out when they reconnect after a server restart.
            wait += random.uniform(0, min(RETRY_MAX, RETRY_BASE * 2**failures))
            failures = min(failures + 1, 10)
            self._set(ConnectionState.OFFLINE, reason, retry_at=time.time() + wait)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            if self.status.state is ConnectionState.OFFLINE:
                self._set(ConnectionState.OFFLINE, reason)

    def _token_found(self, token: str | None) -> None:
        refused = self.status.state is ConnectionState.REFUSED
        if token:
            self.login.token = token
            if refused:
                self._set(ConnectionState.CONNECTING)
            self._wake.set()
        elif refused and self.status.reason == TOKEN_AWAITED:
            self._set(ConnectionState.REFUSED, NOT_LOGGED_IN)

    def _cancel_lookup(self) -> None:
        if self._lookup is not None:
            self._lookup.cancel()

    async def _connect_once(self) -> str:
        """Connect, log in, and return why the logged-in connection ended."""
        connection_class = await load_connection_class()
        connection = self._current = connection_class(self.address, self._on_event)
        try:
            await connection.open()
            await self.login.log_in(connection)
            self._cancel_lookup()
            if not connection.closed.done():
                self.connection = connection
                self._set(ConnectionState.ONLINE)
                self._on_online()
                self._set_login_result(None)
            return await connection.closed
        finally:
            self._current = None
            if self.connection is not None:
                self.connection = None
                self._on_offline()
            await connection.close()

    def _run_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._set_login_result(error)
            self._set(ConnectionState.CLOSED, f"stopped by an error: {error!r}")
            task.get_loop().call_exception_handler(
                {
                    "message": "the client's connection task failed",
                    "exception": error,
                    "task": task,
                }
            )

    def _set_login_result(self, error: BaseException | None) -> None:
        if self._login_result is None or self._login_result.done():
            return
        if error is None:
            self._login_result.set_result(None)
        else:
            self._login_result.set_exception(error)
            # Marks the exception as retrieved: the waiting task may have been cancelled.
            self._login_result.exception()

    def _set(
        self, state: ConnectionState, reason: str = "", *, retry_at: float | None = None
    ) -> None:
        since = self.status.since if state is self.status.state else time.time()
        self.status = Status(state, since, retry_at=retry_at, reason=reason)
        self._on_status()


A = TypeVar("A", bound=protocol.Answer)


class Requester:
    """Sends requests over the connection that the Reconnector holds."""

    def __init__(self, reconnector: Reconnector) -> None:
        self._reconnector = reconnector

    async def request(
        self, event: protocol.Event, payload: msgspec.Struct, answer_type: type[A]
    ) -> A:
        """Send a request and return its answer.

        Raises RequestRefused (InvalidAnswer for a malformed answer), LoginRefused while logged out,
        and ServerUnreachable (AnswerLost if the request was sent).
        """
        connection = await self._connection()
        try:
            reply = await connection.request(event, msgspec.to_builtins(payload), ANSWER_TIMEOUT)
        except TimeoutError:
            reason = f"the server has not answered for {ANSWER_TIMEOUT:.0f} seconds"
            if time.monotonic() - connection.last_received >= ANSWER_TIMEOUT:
                connection.abort(reason)
            raise AnswerLost(reason) from None
        check_refusal(reply)
        return parse(reply, answer_type)

    async def _connection(self) -> ServerConnection:
        """Return the connection. Waits for a login that is in progress."""
        if self._reconnector.status.state is ConnectionState.CONNECTING:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    await self._reconnector.login_result()
        if self._reconnector.connection is not None:
            return self._reconnector.connection
        status = self._reconnector.status
        if status.state is ConnectionState.REFUSED:
            raise LoginRefused(protocol.Code.UNAUTHORIZED, status.reason)
        raise ServerUnreachable(status.reason or "not connected")
