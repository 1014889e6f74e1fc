"""ChatServer: start, stop, errors at start, and what it serves beside the chat."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

import pychat
from pychat.client import ChatClient
from pychat.server import ChatServer, ServeError
from pychat.server.store import StoreError, StoreUnavailable
from pychat.server.store.memory import MemoryStore
from tests.server.chat.peers import Peer
from tests.serving import serving


async def test_the_page_and_what_it_loads(http: aiohttp.ClientSession) -> None:
    async with serving() as server:
        page = await http.get(server.url + "/")
        assert page.status == 200
        assert page.content_type == "text/html"
        policy = page.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        for directive in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"):
            assert directive in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert "aiohttp" not in page.headers["Server"]
        script = await http.get(server.url + "/page/js/main.js")
        assert script.content_type == "text/javascript"
        again = await http.get(
            server.url + "/page/js/main.js", headers={"If-None-Match": script.headers["ETag"]}
        )
        assert (again.status, await again.read()) == (304, b"")
        plain = await http.get(
            server.url + "/page/js/main.js", headers={"Accept-Encoding": "identity"}
        )
        assert await plain.read() == await script.read()


async def test_what_browsers_and_crawlers_ask_for_at_the_root(http: aiohttp.ClientSession) -> None:
    async with serving() as server:
        icon = await http.get(server.url + "/favicon.ico")
        assert icon.content_type == "image/vnd.microsoft.icon"
        assert (await icon.read())[:4] == b"\0\0\1\0"
        robots = await http.get(server.url + "/robots.txt")
        assert robots.content_type == "text/plain"
        assert (await robots.text()).splitlines() == ["User-agent: *", "Disallow: /"]


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/page/",
        "/page/nothing.js",
        "/page/../app.py",
        "/page/%2e%2e/app.py",
        "/page/..%2fapp.py",
        "/page//etc/passwd",
        "/page/a%00b",
        "/socket.io/socket.io.py",
        "/public/",
    ],
)
async def test_everything_else_is_a_plain_404(http: aiohttp.ClientSession, path: str) -> None:
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        assert answer.startswith("HTTP/1.1 404 ")
        assert "text/plain" in answer
        assert answer.endswith("\r\n\r\n404: Not Found\n")


async def test_the_javascript_client_is_where_nodes_server_has_it(
    http: aiohttp.ClientSession,
) -> None:
    if not (Path(pychat.__file__).parent / "server/page/vendor/socket.io.js").exists():
        pytest.skip("needs the JavaScript client: pip install -e . brings it")
    async with serving() as server:
        for name, kind in (
            ("socket.io.js", "text/javascript"),
            ("socket.io.min.js", "text/javascript"),
            ("socket.io.esm.min.js", "text/javascript"),
            ("socket.io.min.js.map", "application/json"),
        ):
            answer = await http.get(f"{server.url}/socket.io/{name}")
            assert (answer.status, answer.content_type) == (200, kind)
            assert len(await answer.read()) > 10_000
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_folder_of_ones_own(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    folder = tmp_path / "public"
    (folder / "sub").mkdir(parents=True)
    (folder / "index.html").write_text("<script>inline()</script>")
    (folder / "sub/page.js").write_text("1")
    (folder / "app").mkdir()
    (folder / "app/index.html").write_text("app")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret.txt")
    for name in (".env", ".git/config", "sub/.hidden", ".well-known/security.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    async with serving(public=folder) as server:
        index = await http.get(server.url + "/public/")
        assert await index.text() == "<script>inline()</script>"
        assert "Content-Security-Policy" not in index.headers
        script = await http.get(server.url + "/public/sub/page.js")
        assert (script.content_type, await script.text()) == ("text/javascript", "1")
        for path in ("/public/app", "/public/app/", "/public/app/index.html"):
            page = await http.get(server.url + path)
            assert await page.text() == "app"
            assert page.url.path in ("/public/app/", "/public/app/index.html")
        for path in ("/public/link", "/public/%2e%2e/secret.txt", "/public/sub/", "/public/no"):
            assert (await http.get(server.url + path)).status == 404
        for path in (
            "/public/.env",
            "/public/%2eenv",
            "/public/.git/config",
            "/public/sub/.hidden",
        ):
            assert (await http.get(server.url + path)).status == 404
        assert (await http.get(server.url + "/public/.well-known/security.txt")).status == 200
    with pytest.raises(ValueError, match="must be a folder"):
        ChatServer("memory:", public=tmp_path / "nowhere")


class AwayStore(MemoryStore):
    away = False

    async def check_ready(self) -> None:
        if self.away:
            raise StoreUnavailable("away")


async def test_health_is_the_stores_health(http: aiohttp.ClientSession) -> None:
    store = AwayStore()
    async with serving(store) as server:
        for path in ("/healthz", "/readyz"):
            store.away = False
            assert (await http.get(server.url + path)).status == 200
            store.away = True
            assert (await http.get(server.url + path)).status == 503


async def test_beside_an_app_of_ones_own(http: aiohttp.ClientSession, unused_tcp_port: int) -> None:
    app = web.Application()

    async def mine(request: web.Request) -> web.Response:
        return web.Response(text="mine")

    app.router.add_get("/", mine)
    chat = pychat.ChatServer("memory:", accounts="open")
    chat.attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    url = f"http://127.0.0.1:{unused_tcp_port}"
    try:
        assert await (await http.get(url + "/")).text() == "mine"
        assert (await http.get(url + "/healthz")).status == 404
        async with Peer(url, "alice") as alice:
            assert (await alice.send("alice", "hi"))["code"] == "200"
        hook = await http.post(url + "/hooks/unknown", json={"text": "hi"})
        assert await hook.text() == "404: there is no such hook\n"
    finally:
        await runner.cleanup()


async def test_files_beside_an_app_of_ones_own(unused_tcp_port: int, tmp_path: Path) -> None:
    app = web.Application()
    pychat.ChatServer("memory:").attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    url = f"http://127.0.0.1:{unused_tcp_port}"
    (tmp_path / "note.txt").write_text("content")
    try:
        async with ChatClient(url, user="alice", password="secret password", create=True) as alice:
            sent = await alice.send("alice", file=tmp_path / "note.txt")
            assert sent.file is not None
            await alice.download(sent.file, tmp_path / "copy.txt")
        assert (tmp_path / "copy.txt").read_text() == "content"
    finally:
        await runner.cleanup()


async def test_a_port_that_is_taken_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = ChatServer("memory:")
        with pytest.raises(ServeError, match=f"127.0.0.1:{port} is in use"):
            await server.start(port=port)
    await server.start(port=port)
    async with Peer(server, "alice") as alice:
        assert (await alice.send("alice", "hi"))["code"] == "200"
        with pytest.raises(RuntimeError, match="already"):
            await server.start()
    await server.stop()


@pytest.mark.parametrize("which", ["port", "metrics_port"])
async def test_a_server_that_cannot_listen_makes_no_store(tmp_path: Path, which: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = {"metrics_port": port} if which == "metrics_port" else {}
        server = ChatServer(f"sqlite:///{tmp_path}/chat.db", **options)
        option = "--" + which.replace("_", "-")
        line = rf"127.0.0.1:{port} is in use: choose another port \({option}\)"
        with pytest.raises(ServeError, match=line):
            await server.start(port=0 if options else port)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("host", "reached", "url"),
    [
        ("::", ["127.0.0.1", "::1"], "http://127.0.0.1:"),
        ("[::]", ["127.0.0.1", "::1"], "http://127.0.0.1:"),
        ("[::1]", ["::1"], "http://[::1]:"),
        ("::1", ["::1"], "http://[::1]:"),
        ("0.0.0.0", ["127.0.0.1"], "http://127.0.0.1:"),
    ],
)
async def test_addresses_of_ipv6(
    http: aiohttp.ClientSession, host: str, reached: list[str], url: str
) -> None:
    server = ChatServer("memory:", metrics_port=0, metrics_host=host)
    try:
        await server.start(host=host)
    except ServeError:
        pytest.skip("this machine has no IPv6")
    try:
        assert server.url == f"{url}{server.port}"
        for address in reached:
            at = f"[{address}]" if ":" in address else address
            assert (await http.get(f"http://{at}:{server.port}/healthz")).status == 200
        assert (await http.get(server.metrics_url)).status == 200
    finally:
        await server.stop()
    with pytest.raises(aiohttp.ClientError):
        await http.get(f"{server.url}/healthz")


@pytest.mark.parametrize(
    "path",
    [
        "page/" + "a" * 300,
        "public/" + "a" * 300,
        "public/" + "a/" * 1500,
        "public/%00",
        "page/%00",
        "public/%ff",
        "public/loop",
        "public/loop/x",
        "public/pipe",
        "public/outside/",
        "public/index.html/x",
    ],
)
async def test_no_path_is_an_error_of_the_server(
    http: aiohttp.ClientSession, tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    folder = tmp_path / "public"
    (folder / "outside").mkdir(parents=True)
    (folder / "index.html").write_text("mine")
    (folder / "loop").symlink_to("loop")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe")
    (tmp_path / "secret").write_text("secret")
    (folder / "outside" / "index.html").symlink_to(tmp_path / "secret")
    async with serving(public=folder) as server:
        url = URL(f"{server.url}/{path}", encoded=True)
        assert (await http.get(url)).status == 404
    assert caplog.records == []


async def test_it_starts_again_after_it_was_stopped(tmp_path: Path) -> None:
    server = ChatServer(f"sqlite:///{tmp_path}/chat.db", accounts="open")
    for seq in (1, 2):
        await server.start()
        async with Peer(server, "alice") as alice:
            assert (await alice.send("alice", "hi"))["seq"] == seq
        await server.stop()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_a_host_that_is_not_ours_is_one_clear_line(host: str) -> None:
    with pytest.raises(ServeError, match=host):
        await ChatServer("memory:").start(host=host)


async def test_a_store_that_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a store address"):
        ChatServer("postgres://localhost/chat")
    (tmp_path / "file").write_text("not a database, but long enough to look at" * 100)
    with pytest.raises(StoreError, match="file"):
        await ChatServer(f"sqlite:///{tmp_path}/file").start()
    with pytest.raises(ValueError, match="accounts must be"):
        ChatServer("memory:", accounts="anyone")  # type: ignore[arg-type]


async def test_stopping_finishes_what_came_in_and_tells_the_clients(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    server = ChatServer(store, accounts="open")
    await server.start()
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        sending = [asyncio.create_task(alice.send("bob", str(n))) for n in range(50)]
        await bob.next("message")
        async with asyncio.timeout(60):
            await server.stop()
            await alice.gone.wait()
            await bob.gone.wait()
        answers = await asyncio.gather(*sending, return_exceptions=True)
    acked = [a["seq"] for a in answers if isinstance(a, dict) and a["code"] == "200"]
    assert acked
    async with serving(store, accounts="open") as server, Peer(server, "bob") as bob:
        page = await bob.ask("history", {"with": "alice", "limit": 100})
        assert {m["seq"] for m in page["messages"]} >= set(acked)


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ({"cors_origins": ["example.org"]}, "'example.org' is not an origin"),
        ({"cors_origins": "https://example.org"}, "cors_origins must be a list"),
        ({"admins": ["#root"]}, "'#root': must not start with #"),
        ({"admins": "root"}, "admins must be a list"),
        ({"durability": "none"}, "durability must be full or normal"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(option: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        ChatServer("memory:", **option)


@pytest.mark.e2e
def test_the_package_shows_what_it_has() -> None:
    """To help() and to completion, before any of it is imported."""
    program = "import pychat; print(*dir(pychat)); help(pychat)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    names, _, help = done.stdout.partition("\n")
    assert {"ChatClient", "ChatServer", "__version__"} <= set(names.split())
    assert "class ChatServer" in help
    assert "listen(self" in help
