"""Send requests over the current connection and check their answers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, TypeVar

import msgspec

from pychat import protocol
from pychat.client.connection.reconnect import Reconnector
from pychat.client.errors import AnswerLost, LoginRefused, ServerUnreachable
from pychat.client.models import ConnectionState
from pychat.client.wire import ANSWER_TIMEOUT, check_refusal, parse

if TYPE_CHECKING:
    from pychat.client.connection.socket import ServerConnection

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
