"""Log in to one account with a stored token or a password."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from pychat import protocol
from pychat.client.errors import LoginRefused, RequestRefused, ServerUnreachable
from pychat.client.models import NOT_LOGGED_IN, LoginResult
from pychat.client.safetext import safe_line
from pychat.client.wire import ANSWER_TIMEOUT, check_refusal, parse

if TYPE_CHECKING:
    from pychat.client.connection.socket import ServerConnection


class TokenLookup:
    """Runs ``find`` once in a thread, for example to read a token from a keyring.

    ``on_found`` is called on the event loop with the result, unless the lookup was cancelled. The
    thread is a daemon thread, because the process must be able to exit while ``find`` blocks.
    """

    def __init__(
        self, find: Callable[[], str | None], on_found: Callable[[str | None], None]
    ) -> None:
        self._find = find
        self._on_found = on_found
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    async def run(self, wake: asyncio.Event, max_wait: float | None) -> None:
        """Start the lookup and wait until it is done, ``wake`` is set, or the time is over.

        ``max_wait``: seconds, None for no limit. The lookup continues after that. Raises what
        ``find`` raises.
        """
        self._task = asyncio.create_task(self._look_up())
        waking = asyncio.create_task(wake.wait())
        try:
            await asyncio.wait(
                (self._task, waking), timeout=max_wait, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waking.cancel()
        if self._task.done():
            self._task.result()

    def cancel(self) -> None:
        """Ignore the result of the lookup."""
        if self._task is not None:
            self._task.cancel()

    async def _look_up(self) -> None:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str | None] = loop.create_future()

        def find() -> None:
            try:
                set_answer = partial(answer.set_result, self._find())
            except Exception as error:
                set_answer = partial(answer.set_exception, error)
            with contextlib.suppress(RuntimeError):  # the loop was closed in the meantime
                loop.call_soon_threadsafe(lambda: answer.done() or set_answer())

        threading.Thread(target=find, name="pychat-find-token", daemon=True).start()
        self._on_found(await answer)


class Login:
    """Credentials of one account. ``on_token`` is called with every new token."""

    def __init__(
        self,
        user: str,
        alias: str,
        password: str | None,
        token: str | None,
        on_token: Callable[[str], None],
    ) -> None:
        self.user = user
        self.alias = alias
        self.password = password
        self.token = token
        self.trial_password: str | None = None
        """Password for the next login only. While set, no other credentials are tried."""
        self.result = LoginResult("", created=False)
        """The server's answer to the last login."""
        self._on_token = on_token

    @property
    def has_credentials(self) -> bool:
        return not (self.token is None and self.password is None and self.trial_password is None)

    def forget_credentials(self) -> None:
        self.token = self.password = self.trial_password = None

    async def log_in(self, connection: ServerConnection) -> None:
        """Log in with the token, then the password. Refused credentials are forgotten.

        Raises LoginRefused if all were refused, RequestRefused if the login should be retried
        later, and ServerUnreachable.
        """
        refusal: LoginRefused | None = None
        for field, secret in self._credentials():
            request = protocol.LoginRequest(
                id=self.user,
                alias=self.alias,
                today=date.today().isoformat(),
                protocol=protocol.PROTOCOL_VERSION,
            )
            setattr(request, field, secret)
            try:
                answer = await connection.request(
                    protocol.Event.LOGIN, msgspec.to_builtins(request), ANSWER_TIMEOUT
                )
            except TimeoutError:
                raise ServerUnreachable(
                    f"{connection.address} did not answer the login within {ANSWER_TIMEOUT:.0f} "
                    "seconds: it may be an older chat server"
                ) from None
            if not isinstance(answer, dict):
                raise _too_old(connection.address)
            try:
                check_refusal(answer)
            except RequestRefused as error:
                if error.code == protocol.Code.TOO_FAST or error.code.startswith("5"):
                    raise
                refusal = LoginRefused(error.code, str(error))
                self._forget(field)
                continue
            if "protocol" not in answer:  # the answer of the original protocol
                raise _too_old(connection.address)
            self._logged_in(parse(answer, protocol.LoginAnswer))
            return
        raise refusal or LoginRefused(protocol.Code.UNAUTHORIZED, NOT_LOGGED_IN)

    def _credentials(self) -> list[tuple[str, str]]:
        """Return the credentials to try, in order, as pairs of field name and value."""
        if self.trial_password is not None:
            return [("password", self.trial_password)]
        both = (("token", self.token), ("password", self.password))
        return [(field, secret) for field, secret in both if secret is not None]

    def _forget(self, field: str) -> None:
        if self.trial_password is not None:
            self.trial_password = None
        elif field == "token":
            self.token = None
        else:
            self.password = None

    def _logged_in(self, answer: protocol.LoginAnswer) -> None:
        self.trial_password = None
        self.result = LoginResult(safe_line(answer.message), answer.created)
        self.user, self.alias = answer.id, answer.alias
        if answer.token:
            changed = answer.token != self.token
            self.token = answer.token
            if changed:
                self._on_token(answer.token)
        elif self.password is None:
            # A server with open accounts issues no token and checks no password.
            self.password = ""


def _too_old(address: str) -> ServerUnreachable:
    return ServerUnreachable(
        f"{address} is a chat server, but does not speak pychat's protocol "
        f"{protocol.PROTOCOL_VERSION}: it is older, or another kind"
    )
