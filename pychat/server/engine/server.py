"""The Engine.IO server: route, handshake, shutdown."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from aiohttp import hdrs, web

from pychat.server.engine.answer import (
    Refused,
    Taken,
    bad_request,
    cors,
    has_gone,
    read_query,
    refusal,
)
from pychat.server.engine.codec.packet import OPEN, text_packet
from pychat.server.engine.heartbeat import Wheel
from pychat.server.engine.origins import Origins, Proxies, page_origin
from pychat.server.engine.polling.queue import Polling
from pychat.server.engine.polling.request import PollRequests, Shared
from pychat.server.engine.registry import TOO_MANY, Registry, SessionAdmission
from pychat.server.engine.session import (
    SERVER_SHUTDOWN,
    EngineSession,
    Handshake,
    Layer,
    ReadAllowance,
)
from pychat.server.engine.versions import tested
from pychat.server.engine.websocket.sockets import OpenSocket, Sockets, accept_key
from pychat.server.engine.websocket.transport import Flusher, WebSocket

_TRANSPORTS: Final = ("polling", "websocket")


class EngineServer:
    """Engine.IO 3 and 4 on one route of an aiohttp application, below a Layer such as Socket.IO.

    Times are in seconds, sizes in bytes.

    ``max_payload``: the largest message or request body.
    ``first_payload``: the largest one before the session is admitted, at least 64 KiB; None for
    ``max_payload``.
    ``allowed_origins``: origins of pages allowed beside the server's own, or ``"*"``.
    ``ask_origin``: decides on each request of a page, instead of ``allowed_origins``.
    ``trusted_proxies``: addresses or networks whose ``X-Forwarded-For`` is believed.
    ``origin_option``, ``proxy_option``: settings that the log proposes for a refused origin, with
    ``{}`` for the origin and for the address of its proxy.
    ``pace``: returns an allowance for each new session, which limits how fast its client is read.
    ``admission``: limits the sessions of each address.
    ``headers``: added to every response.
    """

    def __init__(
        self,
        layer: Layer,
        *,
        ping_interval: float = 25.0,
        ping_timeout: float = 20.0,
        upgrade_timeout: float = 10.0,
        max_payload: int = 1_000_000,
        first_payload: int | None = None,
        allowed_origins: Sequence[str] | Literal["*"] = (),
        ask_origin: Callable[[str, web.Request], bool] | None = None,
        trusted_proxies: Sequence[str] = (),
        origin_option: str = "allowed_origins=['{}']",
        proxy_option: str = "trusted_proxies=['{}']",
        transports: Sequence[str] | None = None,
        allow_upgrades: bool = True,
        pace: Callable[[], ReadAllowance] | None = None,
        admission: SessionAdmission | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._layer = layer
        self.path = "/socket.io/"
        self._ping_interval = ping_interval
        self._ping_timeout = ping_timeout
        self.max_payload = max_payload
        self._first_payload = first_payload
        self._ask_origin = ask_origin
        self._origins = Origins(allowed_origins, origin_option, proxy_option)
        self._proxies = Proxies(trusted_proxies)
        self._transports = tuple(transports or _TRANSPORTS)
        self._allow_upgrades = allow_upgrades and "websocket" in self._transports
        self._pace = pace
        self._shut_down = False

        self.wheel = Wheel(min(1.0, max(0.01, min(ping_interval, ping_timeout) / 20)))
        flusher = Flusher()
        polls, open_socket, socket_type = _direct() if tested() else _public()
        self._sockets = Sockets(
            self.wheel,
            flusher,
            open_socket,
            socket_type,
            max_payload=max_payload,
            upgrade_timeout=upgrade_timeout,
        )
        self._registry = Registry(
            self.wheel,
            self._sockets,
            admission,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
        )
        self.sessions = self._registry.sessions
        self._headers = headers or {}
        shared = Shared(
            self._registry, self.wheel, flusher, headers=self._headers, max_payload=max_payload
        )
        # ask_origin needs aiohttp's request, so such polls are never answered without it.
        allows = self._origins.allows if ask_origin is None else _no_pages
        self._polls = polls(shared, allows, self._reached_at)

    def attach(self, app: web.Application, path: str) -> None:
        """Add the route. The caller must call ``shutdown`` when the application shuts down."""
        self.path = path
        app.router.add_route("*", path, self.handle)

    # --- requests

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request under the path."""
        origin = None
        response: web.StreamResponse
        try:
            page = page_origin(request.headers)
            if not self._allows(page, request):
                raise Refused(4, "Forbidden", 403)
            origin = page
            response = await self._route(request)
        except Refused as refused:
            response = refusal(refused).response()
            if refused.status == TOO_MANY:
                response.headers[hdrs.RETRY_AFTER] = "10"
        except ConnectionResetError:
            response = web.Response(status=400)
        if not isinstance(response, Taken) and not response.prepared:
            response.headers.update(self._headers)
            if origin is not None:
                response.headers.update(cors(origin))
        return response

    def _allows(self, page: str | None, request: web.Request) -> bool:
        if page is not None and self._ask_origin is not None:
            return self._ask_origin(page, request)
        return self._origins.allows(page, request.scheme, request.host, self._reached_at(request))

    async def _route(self, request: web.Request) -> web.StreamResponse:
        if request.method == hdrs.METH_OPTIONS:
            return _preflight(request)
        if self._shut_down:
            raise Refused(3, "Server shutting down", 503)
        query = read_query(request.rel_url.raw_query_string)
        transport = query.get("transport")
        if transport not in self._transports:
            raise Refused(0, "Transport unknown")
        upgrading = hdrs.UPGRADE in request.headers
        sid = query.get("sid")
        if sid is None:
            return await self._open(request, query, upgrading)
        session = self.sessions.get(sid)
        if session is None:
            raise Refused(1, "Session ID unknown")
        if session.silent:
            self._registry.heard(session)
        if transport == "websocket":
            if not upgrading or not self._allow_upgrades:
                raise bad_request()
            return await self._sockets.probe(session, request)
        polling = session.polling
        if polling is None:
            raise bad_request()
        if request.method == hdrs.METH_GET:
            return await self._polls.get(session, polling, request)
        if request.method == hdrs.METH_POST:
            return await self._polls.post(session, polling, request)
        raise bad_request()

    async def _open(
        self, request: web.Request, query: dict[str, str], upgrading: bool
    ) -> web.StreamResponse:
        if has_gone(request):
            raise ConnectionResetError("the client has gone")
        transport = query["transport"]
        protocol = {"3": 3, "4": 4, None: 3}.get(query.get("EIO"))
        if protocol is None:
            raise Refused(5, "Unsupported protocol version: use Socket.IO 1.1 or newer")
        if request.method != hdrs.METH_GET:
            raise Refused(2, "Bad handshake method")
        if (transport == "websocket") != upgrading:
            raise bad_request()
        if transport == "websocket":
            accept = accept_key(request)
            session = self._new_session(request, query, protocol)
            socket = self._sockets.new(session, probing=False)
            opened = await self._sockets.open(socket, request, accept)
            session.carrier = socket
            if self._shut_down:
                socket.close()
            else:
                self._start(session, upgrades=[])
            return await opened.run()
        session = self._new_session(request, query, protocol)
        session.polling = Polling(protocol)
        session.silent = True
        self._start(session, upgrades=["websocket"] if self._allow_upgrades else [])
        return self._polls.first(session, session.polling, request)

    def _reached_at(self, request: web.Request) -> str:
        """The server address that the client connected to, empty behind a trusted proxy."""
        transport = request.transport
        ours = transport.get_extra_info("sockname") if transport else None
        if not isinstance(ours, tuple) or self._proxies.trusts(_peer_address(request)):
            return ""
        return str(ours[0])

    def client_address(self, request: web.Request) -> str:
        """Return the client's address, also behind a trusted proxy."""
        return self._proxies.client(_peer_address(request), request.headers)

    def new_sid(self) -> str:
        """Return a random session id that cannot be guessed."""
        return secrets.token_urlsafe(15)

    def _new_session(
        self, request: web.Request, query: dict[str, str], protocol: int
    ) -> EngineSession:
        address = self.client_address(request)
        self._registry.check(address)
        handshake = handshake_of(request, address, base64=query.get("b64") in ("1", "true"))
        session = EngineSession(self.new_sid(), protocol, handshake, self._layer, self._registry)
        session.first_payload = self._first_payload
        if self._pace is not None:
            session.allowance = self._pace()
        return session

    def _start(self, session: EngineSession, upgrades: list[str]) -> None:
        self._registry.start(session)
        handshake = {
            "sid": session.sid,
            "upgrades": upgrades,
            "pingInterval": round(self._ping_interval * 1000),
            "pingTimeout": round(self._ping_timeout * 1000),
            "maxPayload": self.max_payload,
        }
        session.send(
            text_packet(OPEN.encode() + json.dumps(handshake, separators=(",", ":")).encode())
        )
        self._layer.opened(session)

    # --- shutdown

    async def shutdown(self) -> None:
        """Close all sessions. WebSockets that have not gone after 2 s are aborted."""
        self._shut_down = True
        for session in list(self.sessions.values()):
            session.close(SERVER_SHUTDOWN)
        # One loop turn, in which the waiting polls are answered.
        await asyncio.sleep(0)
        await self._sockets.close()
        self.wheel.stop()
        self.sessions.clear()


def _direct() -> tuple[type[PollRequests], OpenSocket, type[WebSocket]]:
    # Imported here: with untested versions the import may fail.
    from pychat.server.engine.polling.connection import DirectPollRequests
    from pychat.server.engine.websocket.takeover import take_over

    return DirectPollRequests, take_over, WebSocket


def _public() -> tuple[type[PollRequests], OpenSocket, type[WebSocket]]:
    from pychat.server.engine.websocket.public import PublicWebSocket, serve

    return PollRequests, serve, PublicWebSocket


def handshake_of(request: web.Request, address: str, *, base64: bool = False) -> Handshake:
    """Return the parts of a request that are kept. ``address`` is the client's."""
    head = b"\r\n".join(b"%b: %b" % header for header in request.raw_headers)
    return Handshake(head, request.rel_url.raw_query_string, address, base64=base64)


def _no_pages(origin: str | None, *where: str) -> bool:
    return origin is None


def _peer_address(request: web.Request) -> str:
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return str(peer[0]) if isinstance(peer, tuple) else ""


def _preflight(request: web.Request) -> web.Response:
    headers = {hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET,POST,OPTIONS"}
    asked = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS)
    if asked:
        headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = asked
    return web.Response(status=204, headers=headers)
