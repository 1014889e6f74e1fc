"""The page behind nginx, with the files in deploy/."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Response, expect

from pychat.server.app import ChatServer
from tests.e2e.browser import chromium
from tests.e2e.checkout import ROOT
from tests.e2e.page.chatpage import ChatPage
from tests.e2e.page.test_delivery import NO_WEBSOCKET
from tests.requirements import require_program
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

HOST = "chat.example.org"
AT_ROOT = (ROOT / "deploy" / "nginx.conf").read_text()
UNDER_PATH = (ROOT / "deploy" / "nginx-path.conf").read_text()

AROUND = """
{user}
pid nginx.pid;
error_log error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{documented}
}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A browser that finds the documented host on this machine."""
    async with chromium(f"--host-resolver-rules=MAP {HOST} 127.0.0.1") as browser:
        yield browser


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("certificate")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = (
        f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 "
        f"-subj /CN={HOST} -keyout {key} -out {cert}"
    )
    subprocess.run([require_program("openssl"), *command.split()], check=True, capture_output=True)
    return cert, key


def under_path(documented: str) -> str:
    """The documented server with the block for a path instead of the one for the root."""
    changed = re.sub(
        r"^    location / \{.*?^    \}\n", lambda _: UNDER_PATH, documented, flags=re.M | re.S
    )
    assert changed != documented
    return changed


def replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"deploy/nginx.conf must have {old!r} once"
    return text.replace(old, new)


@contextmanager
def nginx(
    folder: Path, documented: str, server: ChatServer, certificate: tuple[Path, Path]
) -> Iterator[int]:
    """Run nginx on a free port, which is returned, before the server."""
    program = require_program("nginx", "/usr/sbin/nginx")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    cert, key = certificate
    documented = replaced(documented, "listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;")
    documented = replaced(documented, "/etc/ssl/chat.example.org.pem", str(cert))
    documented = replaced(documented, "/etc/ssl/chat.example.org.key", str(key))
    documented = replaced(documented, "server 127.0.0.1:3000;", f"server 127.0.0.1:{server.port};")
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(AROUND.format(user=user, documented=documented))
    command = [program, "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]
    # It listens when this returns.
    subprocess.run(command, check=True, capture_output=True)
    try:
        yield port
    finally:
        subprocess.run([*command, "-s", "stop"], check=True, capture_output=True)


@pytest.mark.parametrize("path", ["/", "/chat/"])
async def test_the_page_works_behind_nginx(
    browser: Browser, tmp_path: Path, certificate: tuple[Path, Path], path: str
) -> None:
    documented = AT_ROOT if path == "/" else under_path(AT_ROOT)
    async with serving(trusted_proxies=["127.0.0.1"]) as server:
        with nginx(tmp_path, documented, server, certificate) as port:
            url = f"https://{HOST}:{port}{path}"
            contexts = [await browser.new_context(ignore_https_errors=True) for _ in range(2)]
            failed: list[str] = []

            def note(response: Response) -> None:
                if response.status >= 400:
                    failed.append(f"{response.status} {response.url}")

            for context in contexts:
                context.on("response", note)
            await contexts[1].add_init_script(NO_WEBSOCKET)
            alice = await ChatPage.logged_in(contexts[0], url, "alice")
            bob = await ChatPage.logged_in(contexts[1], url.rstrip("/"), "bob")
            await alice.begin("bob")
            await alice.write("through the proxy")
            await bob.row("alice").click()
            await bob.write("and back, by polling")
            await expect(alice.message("and back, by polling")).to_be_visible()
            await alice.expect_state("through the proxy", "read")

            await alice.page.reload()
            await expect(alice.message("and back, by polling")).to_be_visible()
            assert alice.page.url == f"{url}#bob"
            manifest = await alice.page.evaluate(MANIFEST)
            assert manifest == {"start_url": url, "icon": f"{url}page/favicon.svg"}
            assert failed == alice.problems == bob.problems == []
            await refuses_other_origins(f"https://127.0.0.1:{port}{path}", f"{HOST}:{port}")
            for context in contexts:
                await context.close()


MANIFEST = """async () => {
    const link = document.querySelector('link[rel=manifest]').href;
    const manifest = await (await fetch(link)).json();
    return {
        start_url: new URL(manifest.start_url, link).href,
        icon: new URL(manifest.icons[0].src, link).href,
    };
}"""


async def refuses_other_origins(url: str, host: str) -> None:
    """Only pages from the address that the browser sees may connect."""
    handshake = f"{url}socket.io/?EIO=4&transport=polling"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as http:
        for origin, status in (
            (f"https://{host}", 200),
            ("https://other.example.org", 403),
            (f"https://{HOST}:1", 403),
            (f"https://{HOST}", 403),
        ):
            answer = await http.get(handshake, headers={"Host": host, "Origin": origin})
            assert (origin, answer.status) == (origin, status)


async def test_pages_under_other_paths_have_their_own_login(
    browser: Browser, tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    """They share the browser's storage, but a token must not go to another server."""
    documented = replaced(AT_ROOT, "    location / {", f"{UNDER_PATH}    location / {{")
    async with serving(trusted_proxies=["127.0.0.1"]) as server:
        with nginx(tmp_path, documented, server, certificate) as port:
            context = await browser.new_context(ignore_https_errors=True)
            under_path = await ChatPage.logged_in(context, f"https://{HOST}:{port}/chat/", "alice")
            at_root = await ChatPage.open(context, f"https://{HOST}:{port}/")
            await expect(at_root.page.get_by_label("Id", exact=True)).to_be_focused()
            await at_root.log_in("bob")
            await under_path.page.reload()
            await under_path.page.get_by_label("Your account").click()
            await expect(under_path.page.locator("#own-id")).to_have_text("alice")
            await context.close()


async def test_a_folder_is_found_under_a_path(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    """Redirects keep the path that the server does not know of."""
    public = tmp_path / "public"
    (public / "a:b").mkdir(parents=True)
    (public / "index.html").write_text("the folder")
    (public / "a:b" / "index.html").write_text("a folder in it")
    async with serving(public=public, trusted_proxies=["127.0.0.1"]) as server:
        with nginx(tmp_path, under_path(AT_ROOT), server, certificate) as port:
            root = f"https://127.0.0.1:{port}/chat"
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as http:
                for path, text in (("/public", "the folder"), ("/public/a:b", "a folder in it")):
                    answer = await http.get(root + path)
                    assert (answer.status, await answer.text()) == (200, text)
                    assert str(answer.url) == f"{root}{path}/"
