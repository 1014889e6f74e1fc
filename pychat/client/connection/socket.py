"""One Socket.IO connection to the server, from open to closed, and the JSON it receives."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import platform
import ssl
import time
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakSet

import aiohttp
import engineio
import socketio
from yarl import URL

from pychat.client.connection import socket as serverjson
from pychat.client.errors import AnswerLost, ServerUnreachable
from pychat.client.safetext import safe_line

UNREADABLE: Final = ["unreadable"]
"""Instead of what cannot be decoded: an event that nobody knows, an answer that is none."""


def dumps(value: Any, **options: Any) -> str:
    """As ``json.dumps``."""
    return json.dumps(value, **options)


def loads(text: str | bytes) -> Any:
    """As ``json.loads``, but lone surrogates become U+FFFD, NaN and the infinities null, and what
    is malformed or nested too deeply ``UNREADABLE``."""
    try:
        value = json.loads(text, parse_constant=lambda _: None)
        # Only an escape can bring a surrogate: UTF-8 cannot.
        escape = b"\\u" if isinstance(text, bytes) else "\\u"
        return _without_surrogates(value) if escape in text else value  # type: ignore[operator] # of the same type
    except (ValueError, RecursionError):
        return UNREADABLE


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(each) for each in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(each) for key, each in value.items()}
    return value


CONNECT_TIMEOUT: Final = 10.0
CLOSE_TIMEOUT: Final = 1.0
MAX_BODY: Final = 16 * 1024 * 1024
"""Bytes of an answer over HTTP: a server of ours sends much less at once."""
_RESERVED: Final = ("connect", "connect_error", "disconnect", "__disconnect_final")
"""Names that the library gives to events of its own."""
_HTTP: Final = {"ws": "http", "wss": "https"}

logger = logging.getLogger("pychat.client.socketio")
# At INFO python-socketio logs every payload, passwords and tokens among them; its warnings are of
# connections that end, which the client tells in its own words.
logger.setLevel(logging.ERROR)
logger.addHandler(logging.NullHandler())

# The server answers a poll with all that waits; the library's default of 16 would drop the session.
engineio.payload.Payload.max_decode_packets = 100_000


class _Packet(socketio.packet.Packet):  # type: ignore[misc]  # the library has no types
    """What is no packet, or none that a chat server sends, is an event that nobody knows."""

    def __init__(self, *fields: Any, encoded_packet: Any = None, **more: Any) -> None:
        super().__init__(*fields, encoded_packet=encoded_packet, **more)
        if encoded_packet is not None and not encoded_packet:
            self.data = serverjson.UNREADABLE

    def decode(self, encoded_packet: Any) -> int:
        try:
            attachments = super().decode(encoded_packet)
        except (LookupError, TypeError, ValueError):
            attachments = None
        if attachments != 0 or not self._is_sound():
            self.packet_type, self.data = socketio.packet.EVENT, serverjson.UNREADABLE
            self.namespace = self.id = None
        return 0

    def _is_sound(self) -> bool:
        match self.packet_type:
            case socketio.packet.CONNECT:
                return self.data is None or isinstance(self.data, dict)
            case socketio.packet.EVENT:
                named = isinstance(self.data, list) and len(self.data) > 0
                return named and isinstance(self.data[0], str) and self.data[0] not in _RESERVED
            case socketio.packet.ACK:
                return isinstance(self.data, list) and self.id is not None
            case socketio.packet.DISCONNECT | socketio.packet.CONNECT_ERROR:
                return True
        return False


class ServerConnection:
    """WebSocket first; HTTP long-polling where something on the way refuses that.

    ``on_event`` gets the name and first argument of every event, synchronously and in order.
    """

    def __init__(self, address: str, on_event: Callable[[str, Any], None]) -> None:
        self.address = address
        self._on_event = on_event
        self._socket: Any = None  # socketio.AsyncClient, which carries no types
        self._http: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._responses: WeakSet[aiohttp.ClientResponse] = WeakSet()
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Its result is why, in one line."""
        self.last_received = time.monotonic()

    async def open(self) -> None:
        """Raises ServerUnreachable with one line that says why."""
        failure = await self._attempt("websocket")
        if failure is not None and not failure.reached:
            raise ServerUnreachable(failure.reason)
        if failure is not None:
            failure = await self._attempt("polling")
        if failure is not None:
            raise ServerUnreachable(failure.reason)

    async def _attempt(self, transport: str) -> _Failure | None:
        trace = aiohttp.TraceConfig()
        failure = _Failure(self.address)
        trace.on_request_exception.append(failure.exception)
        trace.on_request_end.append(failure.response)
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=_trust() if self.address.startswith("https:") else True
            ),
            trace_configs=[trace],
            headers={"User-Agent": _user_agent()},
            middlewares=(_stay_at(self.address, self._responses),),
            response_class=_BoundedResponse,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
        )
        self._socket = socketio.AsyncClient(
            reconnection=False,
            handle_sigint=False,
            logger=logger,
            engineio_logger=logger,
            http_session=self._http,
            serializer=_Packet,
            json=serverjson,
        )
        self._socket.on("*", self._received)
        self._socket.on("disconnect", self._disconnected)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await self._socket.connect(
                    self.address, transports=[transport], wait_timeout=CONNECT_TIMEOUT
                )
        except TimeoutError:
            failure.timed_out()
        except socketio.exceptions.ConnectionError as error:
            failure.refused(str(error))
        except aiohttp.ClientError as error:
            failure.refused(str(error))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # The library takes for granted that what answers is an Engine.IO server.
            failure.refused(str(error))
        except BaseException:
            await self._release()
            raise
        else:
            return None
        await self._release()
        return failure

    async def _release(self) -> None:
        # The library lets go of a websocket without closing it, where it ends by a broken frame.
        for response in self._responses:
            response.close()
        if self._http is not None:
            await self._http.close()
        # The library's own loops end by themselves once the transport is gone.

    def _received(self, event: str, data: Any = None, *_more: Any) -> None:
        self.last_received = time.monotonic()
        if not self.closed.done():
            self._on_event(event, data)

    def _disconnected(self, reason: str) -> None:
        self._end(
            "the server closed the connection"
            if reason == socketio.AsyncClient.reason.SERVER_DISCONNECT
            else "the connection was lost"
        )

    def _end(self, reason: str) -> None:
        if not self.closed.done():
            self.closed.set_result(reason)

    def send(self, event: str, payload: Any, answered: Callable[[Any], None] | None = None) -> None:
        """``payload`` is of JSON's types. ``answered`` gets the answer, in the order in which
        answers and events arrive; it is never called once the connection has closed."""
        if self.closed.done():
            return
        task = asyncio.ensure_future(self._emit(event, payload, self._answer(answered)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _answer(self, answered: Callable[[Any], None] | None) -> Callable[..., None] | None:
        if answered is None:
            return None

        def callback(*arguments: Any) -> None:
            self.last_received = time.monotonic()
            if not self.closed.done():
                answered(arguments[0] if arguments else None)

        return callback

    async def _emit(self, event: str, payload: Any, callback: Callable[..., None] | None) -> None:
        try:
            await self._socket.emit(event, payload, callback=callback)
        except socketio.exceptions.SocketIOError:
            self._end("the connection was lost")

    async def request(self, event: str, payload: Any, within: float) -> Any:
        """The answer. Raises AnswerLost, or TimeoutError after ``within`` seconds."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def answered(value: Any) -> None:
            if not answer.done():
                answer.set_result(value)

        self.send(event, payload, answered)
        await asyncio.wait(
            (answer, self.closed), timeout=within, return_when=asyncio.FIRST_COMPLETED
        )
        if answer.done():
            return answer.result()
        answer.cancel()
        if self.closed.done():
            raise AnswerLost(self.closed.result())
        raise TimeoutError

    def abort(self, reason: str) -> None:
        """Ends it now; what waits is not sent. ``close`` is still to be called."""
        self._end(reason)

    async def close(self) -> None:
        """Says goodbye where that is still possible, and lets go of the sockets."""
        alive = not self.closed.done()
        self._end("closed")
        if self._socket is not None and alive:
            with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._socket.disconnect()
        await self._release()


class _Failure:
    """Why an attempt to connect failed, pieced together: the Socket.IO library keeps little of it.

    ``reached``: somebody spoke HTTP there, so that another transport may still work.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._host = urlsplit(address).hostname or ""
        self._status: int | None = None
        self._error: BaseException | None = None
        self.reached = False
        self.reason = f"{address} does not answer"

    async def exception(
        self,
        _session: aiohttp.ClientSession,
        _context: SimpleNamespace,
        parameters: aiohttp.TraceRequestExceptionParams,
    ) -> None:
        self._error = parameters.exception

    async def response(
        self,
        _session: aiohttp.ClientSession,
        _context: SimpleNamespace,
        parameters: aiohttp.TraceRequestEndParams,
    ) -> None:
        self._status = parameters.response.status

    def timed_out(self) -> None:
        self.reason = f"{self._address} did not answer within {CONNECT_TIMEOUT:.0f} seconds"

    def refused(self, text: str) -> None:
        self._refused(safe_line(text))

    def _refused(self, text: str) -> None:
        if self._error is not None:
            self.reason = self._explain(self._error)
        elif self._status is not None:
            self.reached = True
            self.reason = (
                f"{self._address} answers, but not as a chat server (HTTP {self._status})"
                if self._status != 101
                else f"{self._address} answers, but not as a chat server ({text})"
            )
        else:
            self.reason = f"{self._address} does not answer: {text}"

    def _explain(self, error: BaseException) -> str:
        match error:
            case _Elsewhere():
                return f"{self._address} sends its clients to {error}: is that the server you mean?"
            case aiohttp.ClientConnectorCertificateError():
                return self._untrusted(error.certificate_error)
            case aiohttp.ClientConnectorDNSError():
                return f"there is no host named {self._host}"
            case aiohttp.ClientSSLError():
                return f"{self._address} does not speak TLS: is it http:// rather than https://?"
            case aiohttp.ClientOSError():
                return f"{self._address} does not answer: {_os_reason(error)}"
            case TimeoutError():
                return f"{self._address} did not answer within {CONNECT_TIMEOUT:.0f} seconds"
            case aiohttp.ServerDisconnectedError():
                return f"{self._address} hangs up: is it https:// rather than http://?"
            case _:
                return (
                    f"{self._address} answers, but not as a chat server ({safe_line(str(error))})"
                )

    def _untrusted(self, error: Exception) -> str:
        reason = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else ""
        return (
            f"the certificate of {self._host} is not trusted: {reason or error}; if it is one of "
            "your own, let SSL_CERT_FILE name the file of its authority"
        )


class _Elsewhere(aiohttp.ClientConnectionError):
    """A redirect to another origin, which it names."""


def _stay_at(
    address: str, responses: WeakSet[aiohttp.ClientResponse]
) -> aiohttp.ClientMiddlewareType:
    """Follows no redirect to another origin: that is not the server which the password is for.
    ``responses`` gets every answer."""
    origin = URL(address).origin()

    async def stay(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        url = request.url
        if url.with_scheme(_HTTP.get(url.scheme, url.scheme)).origin() != origin:
            raise _Elsewhere(str(url.origin()))
        response = await handler(request)
        responses.add(response)
        return response

    return stay


class _BoundedResponse(aiohttp.ClientResponse):
    """A body that has an end, at MAX_BODY bytes; the library reads all of it."""

    async def read(self) -> bytes:
        if self._body is None:
            body = bytearray()
            async for part in self.content.iter_any():
                body += part
                if len(body) > MAX_BODY:
                    self.close()
                    raise ValueError("the answer is too large")
            self._body = bytes(body)
        return self._body


def _os_reason(error: aiohttp.ClientOSError) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    # asyncio's own text names the address again instead of saying what happened.
    return (os.strerror(cause.errno) if cause.errno else str(cause)).lower()


def _trust() -> ssl.SSLContext:
    return _trust_of(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=1)
def _trust_of(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """What the two variables stand for, which OpenSSL reads by itself. aiohttp's own context keeps
    what they were when it was imported."""
    return ssl.create_default_context()


def _user_agent() -> str:
    try:
        number = version("pychat-socketio")
    except PackageNotFoundError:
        number = "0"
    return f"pychat/{number} ({platform.system() or 'unknown'})"
