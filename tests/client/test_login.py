"""Login with passwords and tokens, and its errors."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from pychat.client import (
    ChatClient,
    ChatClientError,
    LoginRefused,
    RequestRefused,
    ServerUnreachable,
)
from pychat.client.events import StatusChanged
from pychat.client.models import TOKEN_AWAITED, ConnectionState
from pychat.server.app import ChatServer
from tests.client.scripted import LOGIN, scripted
from tests.client.watcher import Watcher, started
from tests.proxy import Line, proxying
from tests.requirements import require_program
from tests.serving import serving


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with serving() as server:
        yield server


async def test_a_password_claims_the_id_and_a_token_is_issued(server: ChatServer) -> None:
    tokens: list[str] = []
    async with ChatClient(
        server.url, user="alice", password="secret password", alias="Alice", on_token=tokens.append
    ) as client:
        assert (client.user, client.alias) == ("alice", "Alice")
        assert client.status.state is ConnectionState.ONLINE
        assert client.login_result.created
    assert tokens == [client.token]
    async with ChatClient(server.url, user="alice", token=tokens[0]) as again:
        assert again.token == tokens[0]
        assert not again.login_result.created
        (session,) = await again.devices()
        assert session.current
        assert session.device.startswith("pychat/")


async def test_a_client_may_be_kept_from_creating_an_account(server: ChatServer) -> None:
    with pytest.raises(LoginRefused, match=r"^there is no account alice$") as refused:
        await ChatClient(
            server.url, user="alice", password="secret password", create=False
        ).connect()
    assert refused.value.code == "404"
    async with ChatClient(server.url, user="bob", password="secret password") as bob:
        assert [user.id for user in await bob.users()] == ["bob"]


async def test_a_client_creates_an_account_once(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pychat.client.connection.reconnect.RETRY_BASE", 0.01)
    client = ChatClient(server.url, user="alice", password="secret password", create=True)
    async with started(client) as alice:
        await alice.state(ConnectionState.ONLINE)
        assert client.login_result.created
        token = client.token
        async with ChatClient(server.url, user="alice", password="secret password") as other:
            await other.revoke("others")
        await alice.next(StatusChanged, lambda event: event.status.state is ConnectionState.OFFLINE)
        await alice.state(ConnectionState.ONLINE)
        assert client.token != token
        assert not client.login_result.created
    with pytest.raises(LoginRefused) as refused:
        await ChatClient(
            server.url, user="alice", password="secret password", create=True
        ).connect()
    assert refused.value.code == "409"
    with pytest.raises(LoginRefused, match="the password must have at least 8 characters"):
        await ChatClient(server.url, user="bob", password="short", create=True).connect()


async def test_login_says_whether_it_creates_the_account(server: ChatServer) -> None:
    async with started(ChatClient(server.url, user="alice", create=False)) as alice:
        with pytest.raises(LoginRefused) as refused:
            await alice.client.login("secret password", create=False)
        assert refused.value.code == "404"
        assert (await alice.client.login("secret password", create=True)).created
        assert not (await alice.client.login("secret password", create=False)).created


@pytest.mark.parametrize("password", ["right", "wrong"])
async def test_an_account_whose_creation_was_not_answered_is_logged_in_to(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pychat.client.connection.reconnect.RETRY_BASE", 0.01)

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        if len(server.payloads("login")) == 1:
            return {"code": "503", "message": "the store is unavailable"}
        if request["create"]:
            return {"code": "409", "message": "id: is taken"}
        return LOGIN if password == "right" else {"code": "401", "message": "wrong password"}

    async with scripted() as server:
        server.answers["login"] = answer
        async with started(ChatClient(server.url, user="alice")) as alice:
            with pytest.raises(RequestRefused):
                await alice.client.login("secret password", create=True)
            if password == "right":
                await alice.state(ConnectionState.ONLINE)
            else:
                refused = await alice.next(StatusChanged, lambda e: "taken" in e.status.reason)
                assert refused.status.state is ConnectionState.REFUSED
        creations = [login["create"] for login in server.payloads("login")]
        assert creations == [True, True, False]


async def test_a_wrong_password_is_reported_in_one_line(server: ChatServer) -> None:
    async with ChatClient(server.url, user="alice", password="secret password"):
        pass
    with pytest.raises(LoginRefused) as refused:
        async with ChatClient(server.url, user="alice", password="wrong password"):
            pass
    assert refused.value.code == "401"
    assert "\n" not in str(refused.value)


async def test_connect_without_credentials_is_refused(server: ChatServer) -> None:
    with pytest.raises(LoginRefused):
        await ChatClient(server.url, user="alice").connect()


async def test_connect_without_credentials_works_with_open_accounts() -> None:
    async with serving(accounts="open") as server, ChatClient(server.url, user="alice") as client:
        assert client.token is None
        await client.send("alice", "it works")


async def test_a_started_client_waits_for_the_right_password(
    server: ChatServer,
) -> None:
    async with ChatClient(server.url, user="alice", password="secret password"):
        pass
    async with started(ChatClient(server.url, user="alice")) as alice:
        await alice.state(ConnectionState.REFUSED)
        with pytest.raises(LoginRefused):
            await alice.client.login("wrong password")
        assert alice.client.status.state is ConnectionState.REFUSED
        assert alice.client.status.reason
        await alice.client.login("secret password")
        assert alice.client.status.state is ConnectionState.ONLINE
        assert alice.client.token


async def test_a_revoked_token_logs_out_and_keeps_drafts(server: ChatServer) -> None:
    async with ChatClient(server.url, user="bob", password="b password"):
        pass
    async with started(ChatClient(server.url, user="alice")) as alice:
        await alice.client.login("secret password")
        async with ChatClient(server.url, user="alice", password="secret password") as other:
            await other.revoke("others")
        refused = await alice.state(ConnectionState.REFUSED)
        assert refused.status.reason
        alice.client.post("bob", "kept")
        assert alice.client.status.waiting == 1
        with pytest.raises(LoginRefused):
            await alice.client.users()
        await alice.client.login("secret password")
        await alice.changed(text="kept", seq=1)


async def test_after_a_refused_token_the_password_is_tried(server: ChatServer) -> None:
    async with ChatClient(server.url, user="bot", token="stale", password="p password") as client:
        assert client.token not in ("stale", None)


async def test_logout_revokes_the_token(server: ChatServer) -> None:
    async with started(ChatClient(server.url, user="alice", password="secret password")) as alice:
        await alice.state(ConnectionState.ONLINE)
        token = alice.client.token
        await alice.client.logout()
        await alice.state(ConnectionState.REFUSED)
        assert alice.client.token is None
    with pytest.raises(LoginRefused):
        await ChatClient(server.url, user="alice", token=token).connect()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_a_refused_connection_is_reported_in_one_line() -> None:
    port = free_port()
    with pytest.raises(ServerUnreachable) as unreachable:
        await ChatClient(f"127.0.0.1:{port}", user="alice", password="x password").connect()
    assert str(unreachable.value) == f"http://127.0.0.1:{port} does not answer: connection refused"


async def test_an_unknown_host_is_reported_in_one_line() -> None:
    with pytest.raises(ServerUnreachable, match=r"^there is no host named nowhere\.invalid$"):
        await ChatClient("https://nowhere.invalid", user="alice", password="x password").connect()


async def test_status_says_why_it_is_offline_and_when_it_retries() -> None:
    async with started(
        ChatClient(f"127.0.0.1:{free_port()}", user="a", password="x password")
    ) as alice:
        event = await alice.next(StatusChanged, lambda e: e.status.retry_at is not None)
        assert event.status.state is ConnectionState.OFFLINE
        assert "connection refused" in event.status.reason
        assert alice.client.post("bob", "later").seq == 0
        with pytest.raises(ServerUnreachable, match="connection refused"):
            await alice.client.users()


async def test_a_server_that_is_not_a_chat_server_is_reported() -> None:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        with pytest.raises(ServerUnreachable, match=r"is not a chat server \(HTTP 404\)"):
            await ChatClient(address, user="alice", password="x password").connect()
    finally:
        await runner.cleanup()


@asynccontextmanager
async def plain_http_only(target: str) -> AsyncIterator[str]:
    """Run a proxy that blocks WebSockets, and return its address."""
    async with aiohttp.ClientSession() as session:

        async def forward(request: web.Request) -> web.Response:
            if "Upgrade" in request.headers:
                return web.Response(status=400)
            async with session.request(
                request.method,
                f"{target}{request.rel_url}",
                data=await request.read(),
                headers={"Content-Type": request.headers.get("Content-Type", "text/plain")},
            ) as answer:
                return web.Response(status=answer.status, body=await answer.read())

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", forward)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        await runner.cleanup()


async def test_polling_is_used_if_websockets_are_blocked() -> None:
    async with (
        serving(accounts="open") as server,
        plain_http_only(server.url) as address,
        ChatClient(server.url, user="bob") as bob,
        ChatClient(address, user="alice") as alice,
    ):
        for i in range(40):
            await bob.send("alice", f"{i}")
        await alice.send("bob", "over polling")
        texts = []
        async for message in alice.messages():
            texts.append(message.text)
            if len(texts) == 40:
                break
        assert texts == [str(i) for i in range(40)]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    openssl = require_program("openssl")
    path = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", path / "key.pem", "-out", path / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return context


async def test_a_certificate_that_is_not_trusted_is_refused(
    server: ChatServer, tls: ssl.SSLContext
) -> None:
    async with proxying(server.port, tls) as proxy:
        with pytest.raises(ServerUnreachable) as refused:
            await ChatClient(proxy.url, user="alice", password="x password").connect()
    assert str(refused.value).startswith("the certificate of 127.0.0.1 is not trusted: self-signed")
    assert "\n" not in str(refused.value)


async def test_a_trusted_certificate_connects(
    server: ChatServer,
    tls: ssl.SSLContext,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    async with proxying(server.port, tls) as proxy:
        assert proxy.url.startswith("https://")
        async with ChatClient(proxy.url, user="alice", password="x password") as client:
            await client.send("alice", "safe")


async def test_http_instead_of_https_is_reported(server: ChatServer, tls: ssl.SSLContext) -> None:
    with pytest.raises(ServerUnreachable, match="does not speak TLS: try http://"):
        await ChatClient(
            f"https://127.0.0.1:{server.port}", user="a", password="x password"
        ).connect()
    async with proxying(server.port, tls) as proxy:
        with pytest.raises(ServerUnreachable):
            await ChatClient(
                f"http://127.0.0.1:{proxy.port}", user="a", password="x password"
            ).connect()


async def test_a_login_that_is_not_answered_times_out(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pychat.client.connection.socket.CONNECT_TIMEOUT", 0.3)
    async with proxying(server.port) as proxy:
        proxy.line = Line.SILENT
        with pytest.raises(ServerUnreachable, match="did not answer within"):
            await ChatClient(proxy.url, user="alice", password="x password").connect()


@pytest.mark.e2e
async def test_after_too_many_logins_the_client_retries_later(server: ChatServer) -> None:
    """Too many wrong passwords lock the id for a while: code 429 is not a final refusal."""
    async with ChatClient(server.url, user="alice", password="secret password"):
        pass
    refusals = []
    for _ in range(7):
        with pytest.raises(RequestRefused) as refused:
            await ChatClient(server.url, user="alice", password="wrong password").connect()
        refusals.append(refused.value)
        if refused.value.code == "429":
            break
    assert refusals[-1].retry_after is not None
    async with started(ChatClient(server.url, user="alice", password="secret password")) as alice:
        event = await alice.next(StatusChanged, lambda e: e.status.retry_at is not None)
        assert event.status.state is ConnectionState.OFFLINE


async def test_cancelling_connect_closes_everything(server: ChatServer) -> None:
    client = ChatClient(server.url, user="alice", password="x password")
    connecting = asyncio.ensure_future(client.connect())
    await asyncio.sleep(0)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert client.status.state is ConnectionState.CLOSED


async def test_login_starts_the_client(server: ChatServer) -> None:
    client = ChatClient(server.url, user="alice")
    await client.login("secret password")
    assert client.status.state is ConnectionState.ONLINE
    await client.close()


async def test_another_spelling_of_an_id_is_the_same_user(server: ChatServer) -> None:
    async with ChatClient(server.url, user="Alice", password="x password"):
        pass
    client = ChatClient(server.url, user="ALICE", password="x password")
    async with started(client) as alice:
        client.post("Alice", "written before the login")
        sent = await alice.changed(text="written before the login")
        assert (sent.sender, sent.own, sent.seq) == ("Alice", True, 1)
        assert client.user == "Alice"


async def test_a_closed_client_raises_a_clear_error(server: ChatServer) -> None:
    async with ChatClient(server.url, user="alice", password="x password") as client:
        pass
    for late in (client.start, lambda: client.post("bob", "late")):
        with pytest.raises(ChatClientError, match="is closed"):
            late()
    with pytest.raises(ChatClientError, match="is closed"):
        await client.connect()
    with pytest.raises(ServerUnreachable):
        await client.users()


async def test_an_error_in_on_token_does_not_end_the_login(server: ChatServer) -> None:
    def fails(_token: str) -> None:
        raise OSError("no keyring here")

    async with ChatClient(
        server.url, user="alice", password="x password", on_token=fails
    ) as client:
        assert client.token


def test_network_libraries_are_not_imported_before_connecting() -> None:
    """A screen can be drawn before the network libraries are loaded."""
    program = """
import sys
import threading
from pychat.client import ChatClient
ChatClient("127.0.0.1", user="alice")
print([name for name in ("aiohttp", "socketio", "engineio", "sqlite3") if name in sys.modules])
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout == "[]\n"


async def test_a_token_function_is_called_and_logout_revokes_the_token(server: ChatServer) -> None:
    tokens: list[str] = []
    async with ChatClient(server.url, user="alice", password="s password", on_token=tokens.append):
        pass

    def find() -> str:
        asyncio.run(asyncio.sleep(0))  # raises an error in the thread of an event loop
        return tokens[0]

    async with ChatClient(server.url, user="alice", token=find, on_token=tokens.append) as client:
        assert client.token == tokens[0]
        await client.logout()
    assert tokens[1:] == [""]
    nothing = ChatClient(server.url, user="alice", token=lambda: None)
    async with started(nothing) as seen:
        await seen.state(ConnectionState.REFUSED)


@pytest.mark.parametrize("unlocked", [False, True])
async def test_a_password_can_be_used_while_the_token_lookup_is_slow(
    server: ChatServer, unlocked: bool
) -> None:
    tokens: list[str] = []
    async with ChatClient(server.url, user="alice", password="s password", on_token=tokens.append):
        pass
    answer = threading.Event()

    def find() -> str:
        answer.wait(15)
        return tokens[0]

    client = ChatClient(server.url, user="alice", token=find, on_token=tokens.append)
    async with started(client) as seen:
        refused = await seen.state(ConnectionState.REFUSED)
        assert refused.status.reason == TOKEN_AWAITED
        if unlocked:
            answer.set()
            await seen.state(ConnectionState.ONLINE)
            assert client.token == tokens[0]
        else:
            await client.login("s password")
            answer.set()
            assert client.token == tokens[-1] != tokens[0]


async def test_login_does_not_wait_for_the_token_lookup(server: ChatServer) -> None:
    asked, answer = threading.Event(), threading.Event()

    def find() -> None:
        asked.set()
        answer.wait(15)

    client = ChatClient(server.url, user="alice", token=find)
    async with started(client) as seen:
        await asyncio.to_thread(asked.wait)
        await client.login("a password that claims")
        answer.set()
        await seen.state(ConnectionState.ONLINE)
        assert not [
            each
            for each in seen.seen
            if isinstance(each, StatusChanged) and each.status.state is ConnectionState.REFUSED
        ]


async def test_a_token_found_after_logout_is_not_used(server: ChatServer) -> None:
    answer = threading.Event()

    def find() -> str:
        answer.wait(15)
        return "that of before"

    client = ChatClient(server.url, user="alice", token=find, password="a password that claims")
    async with started(client) as seen:
        await seen.state(ConnectionState.ONLINE)
        await client.logout()
        await seen.state(ConnectionState.REFUSED)
        answer.set()
        await client.login("a password that claims")
        assert client.token != "that of before"


async def test_start_without_connect_loads_the_cache(server: ChatServer, tmp_path: Path) -> None:
    cache = tmp_path / "cache.db"
    async with ChatClient(server.url, user="alice", password="a password", cache=cache) as before:
        await before.send("ALL", "hello")
    client = ChatClient(server.url, user="alice", password="a password", cache=cache)
    seen = Watcher(client)
    client.start(connect=False)
    try:
        assert [each.name for each in client.conversations] == ["ALL"]
        await asyncio.sleep(0)
        assert client.status.state is ConnectionState.CONNECTING
        client.start()
        await seen.state(ConnectionState.ONLINE)
    finally:
        await client.close()


async def test_a_blocked_token_lookup_does_not_keep_the_process_alive() -> None:
    asked, answer = threading.Event(), threading.Event()

    def find() -> str | None:
        asked.set()
        answer.wait()
        return None

    async def come_and_go() -> None:
        client = ChatClient("127.0.0.1:1", user="alice", token=find)
        client.start()
        await asyncio.to_thread(asked.wait)
        await client.close()

    running = asyncio.create_task(asyncio.to_thread(asyncio.run, come_and_go()))
    try:
        done, _ = await asyncio.wait((running,), timeout=10)
        assert done
    finally:
        answer.set()
        await running
