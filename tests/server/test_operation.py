"""What operators rely on: metrics, logs, the audit log, limits."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from pychat.server import logs
from pychat.server.chat import audit
from pychat.server.chat.limits import Limits, Rate, parse_limits
from pychat.server.guard import gate
from tests.attack.wire import connect
from tests.serving import serving


async def test_metrics_count_what_happens() -> None:
    async with serving(metrics_port=0) as server, aiohttp.ClientSession() as web:
        alice = await connect(web, server.url)
        await alice.login("alice")
        await alice.ask("message", {"sender": "alice", "recepient": "ALL", "data": "hi"})
        text = await (await web.get(server.metrics_url)).text()
        assert "pychat_users_online 1.0" in text
        assert "pychat_messages_total 1.0" in text
        assert "pychat_logins_total 1.0" in text
        assert "process_cpu_seconds_total" in text
        assert (await web.get(server.url + "/metrics")).status == 404


async def test_every_answer_carries_the_headers() -> None:
    async with serving() as server, aiohttp.ClientSession() as web:
        for path in ("/", "/none", "/healthz", "/socket.io/", "/page/none", "/%00", "/socket.io/x"):
            answer = await web.get(server.url + path)
            assert answer.headers["X-Content-Type-Options"] == "nosniff", path
            assert answer.headers["Referrer-Policy"] == "no-referrer", path
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"], path
            assert "Set-Cookie" not in answer.headers
            assert "aiohttp" not in answer.headers["Server"]


async def test_polls_are_in_no_cache() -> None:
    async with serving() as server, aiohttp.ClientSession() as web:
        url = f"{server.url}/socket.io/?EIO=4&transport=polling"
        opened = await web.get(url)
        url += "&sid=" + json.loads((await opened.text())[1:])["sid"]
        # The first request of a connection is answered elsewhere than the ones after it.
        for answer in (opened, await web.post(url, data="40"), await web.get(url)):
            await answer.read()
            assert answer.status == 200
            assert answer.headers["Cache-Control"] == "no-store"


async def test_what_is_no_http_gets_one_plain_line(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as server:
        for request in (b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request)
            answer = await asyncio.wait_for(reader.read(), 60)
            assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
            assert b"nosniff" in answer
            assert answer.endswith(b"400: Bad Request\n")
            writer.close()
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


@pytest.mark.parametrize("kind", ["connections", "sessions"])
async def test_an_address_that_is_refused_more_is_in_the_log_once(
    caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    limits = Limits(connections_per_address=3)
    async with serving(limits=limits) as server, aiohttp.ClientSession() as web:
        if kind == "sessions":
            # A websocket is no connection of the gate's.
            url = f"{server.url}/socket.io/?EIO=4&transport=websocket"
            sockets = [await web.ws_connect(url) for _ in range(3)]
            for _ in range(2):
                with pytest.raises(aiohttp.WSServerHandshakeError, match="429"):
                    await web.ws_connect(url)
            for socket in sockets:
                await socket.close()
        else:
            opened = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
            for reader, writer in opened:
                # Answered at once; its body never comes.
                writer.write(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
                assert (await reader.readline()).startswith(b"HTTP/1.1 404 ")
            for _ in range(2):
                opened.append(await asyncio.open_connection("127.0.0.1", server.port))
                assert (await opened[-1][0].readline()).startswith(b"HTTP/1.1 429 ")
            for _, writer in opened:
                writer.close()
    (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert line.startswith(f"too many {kind} from 127.0.0.1: 3 in use, more are refused; ")
    assert "--limit connections-per-address=12" in line


async def test_an_idle_connection_makes_room_for_another() -> None:
    """A web page can make its visitor's browser hold idle ones to the visitor's own machine."""
    request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    async with serving(limits=Limits(connections_per_address=3)) as server:
        opened = []
        for _ in range(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            opened.append((reader, writer))
            writer.write(request)
            assert (await reader.readuntil(b"ok\n")).startswith(b"HTTP/1.1 200 ")
        for reader, _ in opened[:7]:
            assert await asyncio.wait_for(reader.read(), 5) == b""
        for _, writer in opened:
            writer.close()


async def test_metrics_are_not_for_a_page_whose_name_was_bent_to_this_machine() -> None:
    async with serving(metrics_port=0) as server, aiohttp.ClientSession() as web:
        for host, status in (
            ("evil.example", 403),
            ("evil.example:9100", 403),
            ("localhost.evil.example", 403),
            ("[", 403),
            ("", 403),
            ("localhost:9100", 200),
            ("127.0.0.1", 200),
            ("[::1]:9100", 200),
        ):
            answer = await web.get(server.metrics_url, headers={"Host": host})
            assert answer.status == status, host


async def test_when_the_system_allows_no_more_connections_new_ones_are_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 64
    monkeypatch.setattr(gate, "limit_reached", lambda descriptor: limit)
    async with serving() as server:
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            answer = await asyncio.wait_for(reader.read(), 5)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert answer.endswith(b"\r\n\r\n503: too many connections\n")
            writer.close()
        limit = 0
        async with aiohttp.ClientSession() as web:
            assert (await web.get(f"{server.url}/healthz")).status == 200
    (line,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert "nearly all of the 64 files and connections" in line


def _record(message: str, **fields: object) -> logging.LogRecord:
    record = logging.LogRecord("pychat", logging.INFO, "", 0, message, None, None)
    record.fields = fields
    return record


def test_what_a_peer_has_chosen_cannot_forge_a_line_of_the_log() -> None:
    record = _record("hello\n2026 ERROR forged \x1b[31m\u202e", id="a\nb")
    line = logs.TextFormatter().format(record)
    assert line.isprintable()
    assert r"\n2026" in line
    entry = json.loads(logs.JsonFormatter().format(record))
    assert entry["id"] == "a\nb"
    assert entry["level"] == "info"


async def test_logs_have_no_secret_and_no_text(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    file = tmp_path / "audit.jsonl"
    audit.to_file(file, logs.JsonFormatter())
    caplog.set_level(logging.DEBUG)
    try:
        async with serving() as server, aiohttp.ClientSession() as web:
            alice = await connect(web, server.url)
            token = await alice.login("alice", "the password")
            await alice.ask("message", {"sender": "alice", "recepient": "ALL", "data": "the text"})
            await alice.ask("login", {"id": "alice", "password": "another password"})
            await alice.ask("login", {"id": "alice", "token": token})
            await alice.ask("room", {"command": "create", "roomId": "den"})
    finally:
        handler = audit.log.handlers.pop()
        handler.close()
    said = caplog.text + file.read_text()
    for secret in ("the password", "another password", "the text", token):
        assert secret not in said
    actions = [json.loads(line)["message"] for line in file.read_text().splitlines()]
    assert actions[:3] == ["id claimed", "login", "login refused"]
    assert "room create" in actions
    assert file.stat().st_mode & 0o077 == 0


async def test_who_goes_before_it_is_told_to_go_on_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as server, aiohttp.ClientSession() as web:
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            head = "POST /socket.io/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
            writer.write(f"{head}Content-Length: 1\r\n\r\n".encode())
            writer.transport.abort()
            assert (await web.get(server.url + "/readyz")).status == 200
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


@pytest.fixture
def audit_file(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "audit.jsonl"
    audit.to_file(file, logs.JsonFormatter())
    yield file
    audit.log.handlers.pop().close()


def test_the_audit_log_stays_its_owner_s_when_it_is_moved(audit_file: Path) -> None:
    audit.note("before")
    audit_file.rename(audit_file.with_suffix(".1"))
    audit.note("after")
    assert json.loads(audit_file.read_text())["message"] == "after"
    assert audit_file.stat().st_mode & 0o077 == 0


def test_an_audit_log_that_cannot_be_written_is_told_once(
    audit_file: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    audit_file.unlink()
    audit_file.parent.rename(audit_file.parent.with_name("moved"))
    audit.note("one")
    audit.note("two")
    said = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert len(said) == 1
    assert said[0].startswith("the audit log cannot be written: ")
    assert capsys.readouterr().err == ""


def test_an_audit_log_that_fails_again_is_told_again(
    audit_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, moved = audit_file.parent, audit_file.parent.with_name("moved")
    for _ in range(2):
        audit.note("written")
        audit_file.unlink()
        folder.rename(moved)
        audit.note("lost")
        moved.rename(folder)
    assert [r.levelno for r in caplog.records].count(logging.ERROR) == 2


def test_limits_are_read_from_settings() -> None:
    limits = parse_limits(["messages=0.5/20", "connections-per-user=3", "longest_lockout=60"])
    assert limits.messages == Rate(0.5, 20)
    assert limits.connections_per_user == 3
    assert limits.longest_lockout == 60
    assert limits.searches == Limits().searches


@pytest.mark.parametrize(
    "setting", ["nothing=1", "messages=1", "messages=a/b", "messages=0/1", "rooms=-1", "rooms="]
)
def test_a_wrong_limit_is_one_clear_line(setting: str) -> None:
    with pytest.raises(ValueError, match="limit"):
        parse_limits([setting])
