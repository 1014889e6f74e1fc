"""Asking the server: waits for the connection, and says in one line why there is no answer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, TypeVar

import msgspec

from pychat import protocol
from pychat.client.errors import AnswerLost, LoginRefused, ServerUnreachable
from pychat.client.models import ConnectionState
from pychat.client.session import Reconnector
from pychat.client.wire import ANSWER_TIMEOUT, check_refusal, parsed

if TYPE_CHECKING:
    from pychat.client.connection import ServerConnection

T = TypeVar("T")


class Asking:
    """Over whatever connection the session has."""

    def __init__(self, session: Reconnector) -> None:
        self._session = session

    async def request(self, event: protocol.Event, payload: msgspec.Struct, answer: type[T]) -> T:
        """The answer. Raises RequestRefused, ServerUnreachable, LoginRefused."""
        connection = await self._ready()
        try:
            reply = await connection.request(event, msgspec.to_builtins(payload), ANSWER_TIMEOUT)
        except TimeoutError:
            reason = f"the server has not answered for {ANSWER_TIMEOUT:.0f} seconds"
            if time.monotonic() - connection.last_received >= ANSWER_TIMEOUT:
                connection.abort(reason)
            raise AnswerLost(reason) from None
        check_refusal(reply)
        return parsed(reply, answer)

    async def _ready(self) -> ServerConnection:
        """The connection, waited for while the first one is being made."""
        if self._session.status.state is ConnectionState.CONNECTING:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    await self._session.outcome()
        if self._session.connection is not None:
            return self._session.connection
        status = self._session.status
        if status.state is ConnectionState.REFUSED:
            raise LoginRefused(protocol.Code.UNAUTHORIZED, status.reason)
        raise ServerUnreachable(status.reason or "not connected")
