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
from pychat.client.models import NOT_LOGGED_IN
from pychat.client.safetext import safe_line
from pychat.client.wire import ANSWER_TIMEOUT, check_refusal, parsed

if TYPE_CHECKING:
    from pychat.client.connection.socket import ServerConnection


class TokenSearch:
    """One call of ``find``, in a thread that keeps no process from ending: asyncio's own are waited
    for. ``on_found`` gets what it has found, on the loop, unless the search was ended before."""

    def __init__(
        self, find: Callable[[], str | None], on_found: Callable[[str | None], None]
    ) -> None:
        self._find = find
        self._on_found = on_found
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    async def run(self, woken: asyncio.Event, patience: float | None) -> None:
        """Returns when it is over, ``woken``, or after so many seconds; the search goes on then.
        Raises what ``find`` raises."""
        self._task = asyncio.create_task(self._look())
        waking = asyncio.create_task(woken.wait())
        try:
            await asyncio.wait(
                (self._task, waking), timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waking.cancel()
        if self._task.done():
            self._task.result()

    def end(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str | None] = loop.create_future()

        def look() -> None:
            try:
                tell = partial(answer.set_result, self._find())
            except Exception as error:
                tell = partial(answer.set_exception, error)
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(lambda: answer.done() or tell())

        threading.Thread(target=look, name="pychat-find-token", daemon=True).start()
        self._on_found(await answer)


class Login:
    """``on_token`` is called with every new token."""

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
        self.offered: str | None = None
        """A password for the next login alone, which is tried with nothing else."""
        self.said = ""
        """The server's words at the last login: whether it claimed the id."""
        self._on_token = on_token

    @property
    def has_secret(self) -> bool:
        return not (self.token is None and self.password is None and self.offered is None)

    def forget(self) -> None:
        self.token = self.password = self.offered = None

    async def log_in(self, connection: ServerConnection) -> None:
        """Raises LoginRefused when every secret was refused, each of which is forgotten;
        RequestRefused when it should be tried later; ServerUnreachable."""
        refusal: LoginRefused | None = None
        for field, secret in self._secrets():
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
                    "seconds: is it an older chat server?"
                ) from None
            if not isinstance(answer, dict):
                raise _too_old(connection.address)
            try:
                check_refusal(answer)
            except RequestRefused as error:
                if error.code == protocol.Code.TOO_FAST or error.code.startswith("5"):
                    raise
                refusal = LoginRefused(error.code, str(error))
                self._refused(field)
                continue
            if "protocol" not in answer:  # as the original protocol has it
                raise _too_old(connection.address)
            self._logged_in(parsed(answer, protocol.LoginAnswer))
            return
        raise refusal or LoginRefused(protocol.Code.UNAUTHORIZED, NOT_LOGGED_IN)

    def _secrets(self) -> list[tuple[str, str]]:
        """What to log in with, in order: the field of ``login`` and its value."""
        if self.offered is not None:
            return [("password", self.offered)]
        both = (("token", self.token), ("password", self.password))
        return [(field, secret) for field, secret in both if secret is not None]

    def _refused(self, field: str) -> None:
        if self.offered is not None:
            self.offered = None
        elif field == "token":
            self.token = None
        else:
            self.password = None

    def _logged_in(self, answer: protocol.LoginAnswer) -> None:
        self.offered = None
        self.said = safe_line(answer.message)
        self.user, self.alias = answer.id, answer.alias
        if answer.token:
            changed = answer.token != self.token
            self.token = answer.token
            if changed:
                self._on_token(answer.token)
        elif self.password is None:
            # Open accounts: there is no token, and the server looks at no password.
            self.password = ""


def _too_old(address: str) -> ServerUnreachable:
    return ServerUnreachable(
        f"{address} is a chat server, but does not speak pychat's protocol "
        f"{protocol.PROTOCOL_VERSION}: it is older, or another kind"
    )
