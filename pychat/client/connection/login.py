"""Log in to one account with a stored token or a password."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from pychat import protocol
from pychat.client.errors import LoginRefused, RequestRefused, ServerUnreachable
from pychat.client.models import NOT_LOGGED_IN, LoginResult
from pychat.client.safetext import safe_line
from pychat.client.wire import ANSWER_TIMEOUT, check_refusal, parse, status_of

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


class Attempt(NamedTuple):
    """One login request: a ``password`` or ``token``, and whether it may create the account."""

    field: Literal["password", "token"]
    secret: str
    create: bool | None


class Login:
    """Credentials of one account. ``on_token`` is called with every new token.

    ``create``: whether logins with the password create the account: True, False, or None to create
    it if there is none.
    """

    def __init__(
        self,
        user: str,
        alias: str,
        password: str | None,
        token: str | None,
        on_token: Callable[[str], None],
        create: bool | None = None,
    ) -> None:
        self.user = user
        self.alias = alias
        self.requested_alias = alias
        """What each login asks for; empty to keep the account's, which another device may change
        while this one is offline."""
        self.password = password
        self.token = token
        self.trial_password: str | None = None
        """Password for the next login only. While set, no other credentials are tried."""
        self._create = create
        self._trial_create: bool | None = None
        """``create`` for the login with ``trial_password``."""
        self._maybe_created = False
        """Whether a login that creates the account was sent and not answered."""
        self.result = LoginResult("", created=False)
        """The server's answer to the last login."""
        self.status, self.status_text = protocol.Availability.ONLINE, ""
        """What the user has chosen, from the first login on."""
        self._on_token = on_token

    @property
    def has_credentials(self) -> bool:
        return not (self.token is None and self.password is None and self.trial_password is None)

    def try_password(self, password: str, create: bool | None) -> None:
        """Use only this password for the next login."""
        self.trial_password, self._trial_create = password, create
        self._maybe_created = False

    def forget_credentials(self) -> None:
        self.token = self.password = self.trial_password = None

    async def log_in(self, connection: ServerConnection) -> None:
        """Log in with the token, then the password. Refused credentials are forgotten.

        Raises LoginRefused if all were refused, RequestRefused if the login should be retried
        later, and ServerUnreachable.
        """
        refusal: LoginRefused | None = None
        for attempt in self._attempts():
            try:
                answer = await self._answer(connection, attempt)
            except RequestRefused as error:
                if _passing(error):
                    raise
                refusal = LoginRefused(error.code, str(error))
                refusal.field = error.field
                self._forget(attempt.field)
                continue
            if "protocol" not in answer:  # the answer of the original protocol
                raise _too_old(connection.address)
            self._logged_in(parse(answer, protocol.LoginAnswer))
            return
        raise refusal or LoginRefused(protocol.Code.UNAUTHORIZED, NOT_LOGGED_IN)

    async def _answer(self, connection: ServerConnection, attempt: Attempt) -> dict[str, Any]:
        """Return the answer to an attempt. Raises RequestRefused and ServerUnreachable."""
        perhaps = self._maybe_created
        self._maybe_created = perhaps or attempt.create is True
        answer = await self._request(connection, attempt)
        try:
            check_refusal(answer)
        except RequestRefused as error:
            if perhaps and attempt.create and error.code == protocol.Code.TAKEN:
                # If an earlier attempt has created the account, the password is right.
                answer = await self._request(connection, attempt._replace(create=False))
                try:
                    check_refusal(answer)
                except RequestRefused as wrong:
                    self._maybe_created = _passing(wrong)
                    raise (wrong if _passing(wrong) else error) from None
                return answer
            self._maybe_created = perhaps or (attempt.create is True and _passing(error))
            raise
        return answer

    async def _request(self, connection: ServerConnection, attempt: Attempt) -> dict[str, Any]:
        request = protocol.LoginRequest(
            id=self.user,
            alias=self.requested_alias,
            today=date.today().isoformat(),
            protocol=protocol.PROTOCOL_VERSION,
        )
        if attempt.create is not None:
            request.create = attempt.create
        setattr(request, attempt.field, attempt.secret)
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
        return answer

    def _attempts(self) -> list[Attempt]:
        """Return the credentials to try, in order."""
        if self.trial_password is not None:
            return [Attempt("password", self.trial_password, self._trial_create)]
        attempts = []
        if self.token is not None:
            # With open accounts, every login that may create an account would do so.
            create = None if self._create is None else False
            attempts.append(Attempt("token", self.token, create))
        if self.password is not None:
            attempts.append(Attempt("password", self.password, self._create))
        return attempts

    def _forget(self, field: str) -> None:
        if self.trial_password is not None:
            self.trial_password = None
        elif field == "token":
            self.token = None
        else:
            self.password = None

    def _logged_in(self, answer: protocol.LoginAnswer) -> None:
        self.trial_password = None
        self._maybe_created = False
        if self._create is True:
            self._create = False
        self.result = LoginResult(safe_line(answer.message), answer.created)
        self.user, self.alias = answer.id, answer.alias
        self.status, self.status_text = status_of(answer)
        if answer.token:
            changed = answer.token != self.token
            self.token = answer.token
            if changed:
                self._on_token(answer.token)
        elif self.password is None:
            # A server with open accounts issues no token and checks no password.
            self.password = ""


def _passing(refusal: RequestRefused) -> bool:
    """Whether the same login may succeed later."""
    return refusal.code == protocol.Code.TOO_FAST or refusal.code.startswith("5")


def _too_old(address: str) -> ServerUnreachable:
    return ServerUnreachable(
        f"{address} is a chat server, but does not speak pychat's protocol "
        f"{protocol.PROTOCOL_VERSION}: it is older, or another kind"
    )
