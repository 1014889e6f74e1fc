"""ChatServer: engine, store and chat, served alone or beside another aiohttp app."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, Literal, cast, get_args

from aiohttp import web
from aiohttp.typedefs import Middleware

from pychat.protocol import (
    DEFAULT_PORT,
    MAX_BYTES_BEFORE_LOGIN,
    MAX_PASSWORD_CHARACTERS,
    Code,
    ProtocolError,
)
from pychat.server import site
from pychat.server.chat import (
    MIN_PASSWORD,
    AccountsMode,
    Chat,
    EncodeEvent,
    FileSettings,
    Limits,
)
from pychat.server.engine import EngineSession, Handler, Proxies, SocketServer, encode_event
from pychat.server.files.routes import add_files
from pychat.server.guard.bucket import Allowance
from pychat.server.guard.gate import HEADERS, Gate, note_request
from pychat.server.guard.visitors import Admission, Visitors, throttle
from pychat.server.hooks import add_hooks
from pychat.server.listening import (
    Certificate,
    CertificateError,
    ServeError,
    address,
    bind,
    plain_host,
    serve_error,
)
from pychat.server.options import (
    check_admins,
    check_bytes,
    check_origins,
    check_public_url,
    existing_folder,
)
from pychat.server.running import run
from pychat.server.store import Store, StoreError, StoreUnavailable, open_store
from pychat.server.store.base import Durability

log = logging.getLogger(__name__)

SOCKET_PATH: Final = "/socket.io/"
BACKLOG: Final = 512
SHUTDOWN_SECONDS: Final = 0.5
"""Time that running HTTP requests have to finish when the server stops."""
EXPIRE_SECONDS: Final = 600.0
_MORE_CONNECTIONS: Final = "--limit connections-per-address={}"


class ChatServer:
    """A chat server. ``attach`` it to an aiohttp app, or let it ``listen`` on its own.

    ``store``: ``sqlite:///chat.db``, ``mongodb://…``, ``memory:``, or a Store object.
    ``accounts``: ``claim`` (the first login with a password creates the account), ``open`` (any
    id, no passwords) or ``closed`` (only accounts that were added).
    ``min_password``: characters that the password of a new account must have. Original clients may
    choose a shorter one.
    ``cors_origins``: origins allowed beside the server's own, or ``"*"``.
    ``public``: a folder to serve at ``/public/``.
    ``limits``: False turns the rate limits off. Size limits stay.
    ``trusted_proxies``: addresses or networks whose ``X-Forwarded-For`` is believed.
    ``admins``: ids that may remove messages.
    ``tls_cert``, ``tls_key``: PEM files. ``listen`` loads them again on SIGHUP.
    ``metrics_port``: port of ``/metrics``, for Prometheus.
    ``max_file_bytes``, ``file_quota``: limits in bytes for a file, and for all files of an account.
    ``public_url``: the address under which clients reach the server, for links to files.

    Raises StoreError for an invalid store address, ValueError for any other wrong option.
    """

    def __init__(
        self,
        store: str | Store = "sqlite:///chat.db",
        *,
        accounts: AccountsMode = "claim",
        min_password: int = MIN_PASSWORD,
        cors_origins: Sequence[str] | Literal["*"] = (),
        public: str | Path | None = None,
        limits: Limits | bool = True,
        durability: Durability = "full",
        trusted_proxies: Sequence[str] = (),
        admins: Sequence[str] = (),
        tls_cert: str | Path | None = None,
        tls_key: str | Path | None = None,
        metrics_port: int | None = None,
        metrics_host: str = "127.0.0.1",
        max_file_bytes: int = FileSettings().largest,
        file_quota: int | None = None,
        public_url: str = "",
    ) -> None:
        if accounts not in get_args(AccountsMode):
            raise ValueError(f"accounts must be one of claim, open, closed: not {accounts!r}")
        if not 1 <= min_password <= MAX_PASSWORD_CHARACTERS:
            raise ValueError(
                f"min_password must be 1 to {MAX_PASSWORD_CHARACTERS}: not {min_password}"
            )
        if durability not in get_args(Durability):
            raise ValueError(f"durability must be full or normal: not {durability!r}")
        self._files = FileSettings(
            check_bytes("max_file_bytes", max_file_bytes),
            None if file_quota is None else check_bytes("file_quota", file_quota),
            check_public_url(public_url),
        )
        check_origins(cors_origins)
        check_admins(admins)
        if admins and accounts == "open":
            raise ValueError("with open accounts anyone could be an admin: choose claim or closed")
        self.store: Store = (
            open_store(store, durability=durability) if isinstance(store, str) else store
        )
        self._public = existing_folder(public)
        self._accounts: AccountsMode = accounts
        self._min_password = min_password
        self._limits = Limits() if limits is True else limits or None
        self._cors_origins: Sequence[str] | Literal["*"] = cors_origins
        self._trusted_proxies = trusted_proxies
        self._proxies = Proxies(trusted_proxies)
        self._admins = tuple(admins)
        if tls_key is not None and tls_cert is None:
            raise ValueError("tls_key needs tls_cert")
        self._certificate = None if tls_cert is None else Certificate(tls_cert, tls_key)
        self._metrics_at = None if metrics_port is None else (metrics_host, metrics_port)
        self._metrics: web.AppRunner | None = None
        self._chat, self._engine = self._assemble()
        self._attached = False
        self._open = False
        self._ready = False
        self._giving_up: asyncio.Task[None] | None = None
        self._expiring: asyncio.Task[None] | None = None
        self._unhealthy = ""
        """The store error that was logged last."""
        self._runner: web.AppRunner | None = None
        self._listeners: list[asyncio.Server] = []
        self._gate: Gate
        self._host = ""
        self._port = 0

    # --- beside an app ---
    def attach(self, app: web.Application) -> None:
        """Add ``/socket.io/``, ``/files`` and ``/hooks`` to the app. Its own routes win, if it has
        added them before.

        The store opens when the app starts, which may raise StoreError.
        """
        if self._open:
            raise RuntimeError("the server has been started already")
        if self._attached:
            # A stopped chat or engine cannot be started again.
            self._chat, self._engine = self._assemble()
        self._attached = True
        site.add_client_files(app, SOCKET_PATH)
        self._engine.attach(app)
        add_hooks(app, lambda: self._chat)
        add_files(app, lambda: self._chat, self.store)
        app.on_startup.append(self._on_startup)
        app.on_shutdown.append(self._on_shutdown)
        app.on_cleanup.append(self._on_cleanup)

    async def issue_token(self, id: str, *, alias: str = "", device: str = "") -> str:
        """Return a login token for a user whom your application has authenticated.

        The chat account is created, without a password, if there is none. Needs ``closed``
        accounts: with others, a stranger could have claimed the id. ``device``: how the token is
        listed for its owner.

        Raises ValueError if the id is invalid, looks like another one or is disabled, StoreError
        if the store is unavailable.
        """
        if self._accounts != "closed":
            raise ValueError("issue_token needs accounts='closed'")
        if not self._open:
            raise RuntimeError("issue_token needs a server that has been started")
        try:
            return await self._chat.issue_token(id, alias, device)
        except ProtocolError as error:
            refused = error.code in (Code.MALFORMED, Code.UNAUTHORIZED, Code.FORBIDDEN)
            raise (ValueError if refused else StoreUnavailable)(str(error)) from None

    # --- alone ---
    def listen(
        self,
        port: int = DEFAULT_PORT,
        host: str = "127.0.0.1",
        *,
        ready: Callable[[ChatServer], None] | None = None,
    ) -> None:
        """Serve until SIGINT or SIGTERM. A second signal ends the process at once.

        ``ready`` is called when the server listens. Raises ServeError or StoreError if the server
        cannot start or cannot go on.
        """
        run(self, port, host, None if ready is None else partial(ready, self))

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> None:
        """Start, and return when the server listens. Port 0 means any free port.

        Raises ServeError or StoreError.
        """
        app = web.Application(middlewares=self._middlewares())
        app.on_response_prepare.append(site.protect)
        self.attach(app)
        site.add_page(app)
        site.add_health(app, self._healthy, lambda: self._ready)
        if self._public is not None:
            site.add_public(app, self._public)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        # Before the store opens: a server that cannot listen must not create a store.
        sockets = await _bound(host, port)
        for_metrics: list[socket.socket] = []
        try:
            if self._metrics_at is not None:
                for_metrics += await _bound(*self._metrics_at, "--metrics-port")
            await runner.setup()
            if for_metrics:
                await self._start_metrics(for_metrics)
            port = sockets[0].getsockname()[1]
            await self._accept(runner, sockets)
        except OSError as error:
            await self._give_up(runner, sockets + for_metrics)
            raise serve_error(host, port, error) from error
        except BaseException:
            await self._give_up(runner, sockets + for_metrics)
            raise
        self._runner = runner
        self._host = plain_host(host)
        self._port = port
        self._ready = True
        log.info("listening on %s", self.url)

    async def failure(self) -> StoreError | ServeError:
        """Wait until the started server cannot go on, and return the reason.

        For example, another server has taken over the database, or the store's file is gone. The
        clients have been disconnected by then. Call ``stop`` next.
        """
        error = await asyncio.shield(self._chat.failed)
        if self._giving_up is not None:
            await asyncio.shield(self._giving_up)
        if isinstance(error, StoreError):
            return error
        return ServeError(f"the server cannot go on: {error!r}")

    async def stop(self) -> None:
        """Stop accepting connections, finish received requests, close clients and store."""
        runner, self._runner = self._runner, None
        if runner is not None:
            self._ready = False
            self._close_listeners()
            self._gate.close()
            await self._cleanup(runner)
            log.info("stopped")

    @property
    def port(self) -> int:
        """The port the server listens on, 0 before it does."""
        return self._port

    @property
    def url(self) -> str:
        """The address of the page, for a browser on this machine."""
        host = "127.0.0.1" if self._host in ("0.0.0.0", "", "::") else self._host
        scheme = "http" if self._certificate is None else "https"
        return f"{scheme}://{address(host, self._port)}"

    @property
    def metrics_url(self) -> str:
        """The address of ``/metrics``, empty if it is not served."""
        if self._metrics is None or not self._metrics.addresses:
            return ""
        host, port = self._metrics.addresses[0][:2]
        return f"http://{address(host, port)}/metrics"

    @property
    def has_certificate(self) -> bool:
        """Whether the server speaks TLS."""
        return self._certificate is not None

    def reload_certificate(self) -> None:
        """Load the certificate again, for new connections. An invalid one changes nothing."""
        if self._certificate is None:
            return
        try:
            self._certificate.reload()
        except CertificateError as error:
            log.error("certificate not reloaded, the previous one stays in use: %s", error)
        else:
            log.info("certificate reloaded")

    # --- assembly ---
    def _assemble(self) -> tuple[Chat, SocketServer]:
        limits = self._limits
        chat = Chat(
            self.store,
            # The chat treats packets as opaque: these are the engine's, and go back to it.
            encode_event=cast(EncodeEvent, encode_event),
            accounts=self._accounts,
            min_password=self._min_password,
            limits=limits,
            admins=self._admins,
            files=self._files,
        )
        engine = SocketServer(
            cast(Handler, chat),
            path=SOCKET_PATH,
            first_payload=MAX_BYTES_BEFORE_LOGIN,
            allowed_origins=self._cors_origins,
            trusted_proxies=self._trusted_proxies,
            origin_option="--cors-origin {}",
            proxy_option="--trusted-proxy {}",
            pace=None if limits is None else partial(Allowance, limits.packets),
            admission=None if limits is None else _admission(limits),
            headers=HEADERS,
        )
        return chat, engine

    def _middlewares(self) -> list[Middleware]:
        around: list[Middleware] = [note_request, web.middleware(site.plain_errors)]
        if self._limits is not None:
            around.insert(1, throttle(self._limits.requests, self._client_address))
        return around

    def _client_address(self, request: web.Request) -> str:
        return self._proxies.client(request.remote or "", request.headers)

    async def _accept(self, runner: web.AppRunner, sockets: list[socket.socket]) -> None:
        assert runner.server is not None
        self._gate = Gate(
            runner.server,
            per_address=None if self._limits is None else self._limits.connections_per_address,
            is_exempt=self._proxies.trusts,
            context=None if self._certificate is None else self._certificate.context,
            hint=_MORE_CONNECTIONS,
        )
        loop = asyncio.get_running_loop()
        for sock in sockets:
            listener = await loop.create_server(self._gate, sock=sock, backlog=BACKLOG)
            self._listeners.append(listener)

    async def _start_metrics(self, sockets: list[socket.socket]) -> None:
        # Imported here because most servers serve no metrics.
        from pychat.server.metrics import serve_metrics

        self._metrics = await serve_metrics(lambda: self._chat.figures(), sockets)

    async def _give_up(self, runner: web.AppRunner, sockets: list[socket.socket]) -> None:
        self._close_listeners()
        await self._cleanup(runner)
        for sock in sockets:
            sock.close()

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    async def _cleanup(self, runner: web.AppRunner) -> None:
        await runner.cleanup()
        if self._metrics is not None:
            await self._metrics.cleanup()
            self._metrics = None

    async def _on_startup(self, app: web.Application) -> None:
        await self.store.open()
        self._open = True
        self._giving_up = None
        await self._chat.start()
        self._chat.failed.add_done_callback(self._on_failure)
        self._expiring = asyncio.get_running_loop().create_task(self._expire_files())
        self._ready = True

    async def _expire_files(self) -> None:
        while True:
            # An error is logged by the chat. The next time may succeed.
            with suppress(ProtocolError):
                await self._chat.expire_files()
            await asyncio.sleep(EXPIRE_SECONDS)

    def _on_failure(self, failed: asyncio.Future[BaseException]) -> None:
        if self._ready:
            log.critical("the server cannot go on, disconnecting its clients: %s", failed.result())
            self._ready = False
            self._giving_up = asyncio.get_running_loop().create_task(self._disconnect_all())

    async def _on_shutdown(self, app: web.Application) -> None:
        self._ready = False
        if self._giving_up is not None:
            await self._giving_up
        else:
            await self._disconnect_all()

    async def _disconnect_all(self) -> None:
        if self._open:
            await self._chat.stop()
        await self._engine.shutdown()

    async def _on_cleanup(self, app: web.Application) -> None:
        if self._expiring is not None:
            self._expiring.cancel()
            await asyncio.wait([self._expiring])
            self._expiring = None
        if self._open:
            self._open = False
            await self.store.close()

    async def _healthy(self) -> bool:
        if not self._open:
            return False
        try:
            await self.store.check_ready()
        except StoreError as error:
            if str(error) != self._unhealthy:
                self._unhealthy = str(error)
                log.warning("store unavailable: %s", error)
            return False
        if self._unhealthy:
            self._unhealthy = ""
            log.warning("store available again")
        return True


async def _bound(host: str, port: int, option: str = "--port") -> list[socket.socket]:
    try:
        return await asyncio.to_thread(bind, host, port)
    except OSError as error:
        raise serve_error(host, port, error, option) from error


def _admission(limits: Limits) -> Visitors[EngineSession]:
    handshakes = limits.handshakes
    admission = Admission(limits.connections_per_address, handshakes.per_second, handshakes.burst)
    return Visitors(admission, _MORE_CONNECTIONS)
