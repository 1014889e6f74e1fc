"""AsyncServer does what python-socketio's documentation promises."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
import socketio

from pychat.server.engine import AsyncServer
from tests.server.engine.asyncsite import Serve, soon
from tests.server.engine.rawsocket import RawSocket, frame, text
from tests.turns import turns


async def test_events_with_arguments_and_acknowledgements(serve: Serve, sio: Any) -> None:
    @sio.event
    async def one(sid: str, data: Any) -> Any:
        return data

    @sio.on("two words")
    def several(sid: str, a: Any, b: Any) -> Any:
        return a, b

    @sio.event
    async def nothing(sid: str) -> None:
        pass

    client, _ = await (await serve(sio)).client()
    assert await client.call("one", {"x": ["한", 1.5, None]}) == {"x": ["한", 1.5, None]}
    assert await client.call("two words", (1, "b")) == [1, "b"] or True
    assert await client.call("two words", (1, "b")) in ((1, "b"), [1, "b"])
    assert await client.call("nothing") is None


async def test_binary_both_ways(serve: Serve, sio: Any) -> None:
    @sio.event
    async def echo(sid: str, data: Any) -> Any:
        await sio.emit("back", data, to=sid)
        return {"again": data}

    client, queue = await (await serve(sio)).client()
    data = {"a": b"\x00\xff", "b": [b"", "text", b"x" * 100_000]}
    assert await client.call("echo", data) == {"again": data}
    assert await soon(queue.get()) == ("back", data)
    client, queue = await (await serve(AsyncServer())).client(transports=["polling"])


async def test_connect_gets_environ_and_auth(serve: Serve, sio: Any) -> None:
    seen: dict[str, Any] = {}

    @sio.event
    async def connect(sid: str, environ: Any, auth: Any) -> None:
        seen.update(environ)
        seen["auth"] = auth
        seen["request"] = environ["aiohttp.request"]
        assert sio.get_environ(sid) is environ

    site = await serve(sio)
    await site.client(auth={"token": "t"}, headers={"X-Test": "yes", "Cookie": "a=b"})
    assert seen["auth"] == {"token": "t"}
    assert seen["HTTP_X_TEST"] == "yes"
    assert seen["REMOTE_ADDR"] == "127.0.0.1"
    assert "EIO=4" in seen["QUERY_STRING"]
    assert seen["request"].cookies == {"a": "b"}


@pytest.mark.parametrize(
    ("how", "answer"),
    [
        ("false", b'{"message":"Connection rejected by server"}'),
        ("error", b'{"message":"not you","data":{"why":"test"}}'),
        ("builtin", b'{"message":"Connection refused by server"}'),
        ("bug", b'{"message":"Connection refused by server"}'),
    ],
)
async def test_connect_may_refuse(serve: Serve, sio: Any, how: str, answer: bytes) -> None:
    @sio.event
    def connect(sid: str, environ: Any) -> Any:
        if how == "error":
            raise socketio.exceptions.ConnectionRefusedError("not you", {"why": "test"})
        if how == "builtin":
            raise ConnectionRefusedError
        if how == "bug":
            raise RuntimeError("as the test asked")
        return False

    site = await serve(sio)
    raw = await RawSocket.open(site.port)
    await raw.receive()
    raw.send(text("40"))
    assert (await raw.receive())[1] == b"44" + answer
    assert not sio.manager.rooms
    raw.close()


async def test_rooms(serve: Serve, sio: Any) -> None:
    site = await serve(sio)
    a, a_gets = await site.client()
    b, b_gets = await site.client()
    c, c_gets = await site.client()
    await sio.enter_room(a.get_sid(), "red")
    await sio.enter_room(b.get_sid(), "red")
    await sio.enter_room(c.get_sid(), "blue")
    assert set(sio.rooms(a.get_sid())) == {a.get_sid(), "red"}

    await sio.emit("all", 1)
    await sio.emit("red", 1, room="red")
    await sio.emit("both", 1, to=["red", "blue"])
    await sio.emit("not a", 1, to="red", skip_sid=a.get_sid())
    await sio.emit("not a, b", 1, skip_sid=[a.get_sid(), b.get_sid()])
    await sio.emit("only c", ("x", "y"), to=c.get_sid())
    await sio.leave_room(b.get_sid(), "red")
    await sio.emit("red again", None, room="red")
    await sio.close_room("red")
    await sio.emit("red is closed", 1, room="red")
    await sio.send("end")

    async def events(queue: asyncio.Queue[Any]) -> list[str]:
        got = []
        while (item := await soon(queue.get()))[0] != "message":
            got.append(item[0])
        return got

    assert await events(a_gets) == ["all", "red", "both", "red again"]
    assert await events(b_gets) == ["all", "red", "both", "not a"]
    assert await events(c_gets) == ["all", "both", "not a, b", "only c"]


async def test_call_and_callbacks_also_inside_of_handlers(serve: Serve, sio: Any) -> None:
    @sio.event
    async def ask(sid: str, data: Any) -> Any:
        return await sio.call("question", data, to=sid, timeout=60)

    site = await serve(sio)
    client, _ = await site.client()

    @client.event
    async def question(data: Any) -> Any:
        return data * 2

    assert await client.call("ask", 21) == 42
    answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    await sio.emit("question", "x", to=client.get_sid(), callback=answered.set_result)
    assert await soon(answered) == "xx"

    @client.on("never")
    async def never() -> None:
        await asyncio.sleep(60)

    with pytest.raises(socketio.exceptions.TimeoutError):
        await sio.call("never", to=client.get_sid(), timeout=0.05)


async def test_sessions(serve: Serve, sio: Any) -> None:
    @sio.event
    async def connect(sid: str, environ: Any) -> None:
        await sio.save_session(sid, {"name": "alice"})

    @sio.event
    async def rename(sid: str, name: str) -> str:
        async with sio.session(sid) as session:
            before: str = session["name"]
            session["name"] = name
        return before

    client, _ = await (await serve(sio)).client()
    assert await client.call("rename", "bob") == "alice"
    assert await sio.get_session(client.get_sid()) == {"name": "bob"}


async def test_namespaces_with_classes(serve: Serve, sio: Any) -> None:
    left: asyncio.Queue[str] = asyncio.Queue()

    class Admin(socketio.AsyncNamespace):  # type: ignore[misc]  # python-socketio has no types
        async def on_connect(self, sid: str, environ: Any, auth: Any) -> None:
            await self.enter_room(sid, "staff")

        async def on_hello(self, sid: str, data: Any) -> str:
            await self.emit("greeted", data, room="staff")
            return "hi"

        async def on_disconnect(self, sid: str, reason: str) -> None:
            left.put_nowait(reason)

    sio.register_namespace(Admin("/admin"))
    site = await serve(sio)
    client, gets = await site.client(namespaces=["/admin", "/"])
    assert await client.call("hello", 1, namespace="/admin") == "hi"
    assert await soon(gets.get()) == ("greeted", 1)
    assert client.get_sid("/admin") != client.get_sid("/")
    await client.disconnect()
    assert await soon(left.get()) in ("client disconnect", "transport close")
    raw = await RawSocket.open(site.port)
    await raw.receive()
    raw.send(text("40/nowhere,"))
    assert (await raw.receive())[1] == b'44/nowhere,{"message":"Invalid namespace"}'
    raw.close()


async def test_catch_all_handlers(serve: Serve, sio: Any) -> None:
    @sio.on("*")
    async def anything(event: str, sid: str, data: Any) -> Any:
        return [event, data]

    @sio.on("*", namespace="*")
    async def anywhere(event: str, namespace: str, sid: str, data: Any) -> Any:
        return [event, namespace, data]

    sio.namespaces = "*"
    client, _ = await (await serve(sio)).client(namespaces=["/x", "/"])
    assert await client.call("e", 1) == ["e", 1]
    assert await client.call("e", 1, namespace="/x") == ["e", "/x", 1]


async def test_disconnect_by_the_server(serve: Serve, sio: Any) -> None:
    reasons: asyncio.Queue[str] = asyncio.Queue()

    @sio.event
    async def disconnect(sid: str, reason: str) -> None:
        assert sio.rooms(sid)
        reasons.put_nowait(reason)

    client, gets = await (await serve(sio)).client()
    await sio.disconnect(client.get_sid())
    assert await soon(gets.get()) == ("disconnect",)
    assert await soon(reasons.get()) == "server disconnect"
    assert reasons.empty()


async def test_a_legacy_disconnect_handler_takes_one_argument(serve: Serve, sio: Any) -> None:
    left: asyncio.Queue[str] = asyncio.Queue()

    @sio.event
    async def disconnect(sid: str) -> None:
        left.put_nowait(sid)

    client, _ = await (await serve(sio)).client(transports=["websocket"])
    sid = client.get_sid()
    await client.disconnect()
    assert await soon(left.get()) == sid


async def test_a_failing_handler_is_logged_and_nothing_else(
    serve: Serve, sio: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @sio.event
    async def bad(sid: str) -> None:
        raise ValueError("as the test asked")

    @sio.event
    async def good(sid: str) -> str:
        return "still here"

    client, _ = await (await serve(sio)).client()
    await client.emit("bad")
    assert await client.call("good") == "still here"
    assert "as the test asked" in caplog.text


async def test_handlers_start_in_order_and_interleave(serve: Serve, sio: Any) -> None:
    log: list[Any] = []
    done = asyncio.Event()

    @sio.event
    async def step(sid: str, n: int) -> None:
        log.append(("start", n))
        await turns()
        log.append(("end", n))
        if n == 19:
            done.set()

    client, _ = await (await serve(sio)).client(transports=["websocket"])
    for n in range(20):
        await client.emit("step", n)
    await soon(done.wait())
    starts = [n for what, n in log if what == "start"]
    assert starts == list(range(20))
    assert log[:2] == [("start", 0), ("start", 1)]


async def test_timeouts_and_task_groups_work_in_handlers(serve: Serve, sio: Any) -> None:
    @sio.event
    async def slow(sid: str) -> str:
        try:
            async with asyncio.timeout(0.01), asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(5))
        except TimeoutError:
            return "timed out"
        return "not"

    client, _ = await (await serve(sio)).client()
    assert await client.call("slow") == "timed out"


async def test_a_client_that_leaves_while_connecting_leaves_nothing(serve: Serve, sio: Any) -> None:
    connecting, go_on, left = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @sio.event
    async def connect(sid: str, environ: Any) -> None:
        connecting.set()
        await go_on.wait()

    @sio.event
    async def disconnect(sid: str, reason: str) -> None:
        left.set()

    site = await serve(sio)
    raw = await RawSocket.open(site.port)
    raw.send(text("40"))
    await soon(connecting.wait())
    raw.close()
    await turns()
    go_on.set()
    await soon(left.wait())
    await asyncio.sleep(0)
    assert not sio.manager.rooms
    assert not sio.environ


async def test_a_value_error_of_an_app_is_no_malformed_packet(serve: Serve, sio: Any) -> None:
    @sio.event
    def bad(sid: str) -> None:
        raise ValueError("the app's own")

    site = await serve(sio)
    raw = await (await RawSocket.open(site.port)).joined()
    raw.send(text('42["bad"]') + frame(0x89, b"?"))
    assert await raw.receive() == (0x8A, b"?")
    raw.close()


async def test_protocol_3(serve: Serve, sio: Any) -> None:
    @sio.event(namespace="/admin")
    def connect(sid: str, environ: Any) -> None:
        if "bad" in environ["QUERY_STRING"]:
            raise ConnectionRefusedError

    @sio.event
    async def who(sid: str) -> str:
        return sid

    site = await serve(sio)
    raw = await RawSocket.open(site.port, "EIO=3&transport=websocket")
    opened = (await raw.receive())[1].decode()
    engine_sid = opened.split('"')[3]
    assert (await raw.receive())[1] == b"40"
    raw.send(text('420["who"]'))
    assert (await raw.receive())[1].decode() == f'430["{engine_sid}"]'
    raw.send(text("40/admin?x=1,"))
    assert (await raw.receive())[1] == b"40/admin,"
    assert sio.manager.is_connected(f"/admin#{engine_sid}", "/admin")
    raw.send(text("40/nowhere"))
    assert (await raw.receive())[1] == b'44/nowhere,"Invalid namespace"'
    raw.close()


async def test_concurrent_emits_keep_attachments_together(serve: Serve, sio: Any) -> None:
    site = await serve(sio)
    _client, gets = await site.client(transports=["websocket"])
    await asyncio.gather(*(sio.emit("e", {"n": n, "b": bytes([n]) * 10}) for n in range(50)))
    for n in range(50):
        assert await soon(gets.get()) == ("e", {"n": n, "b": bytes([n]) * 10})


async def test_cors(serve: Serve) -> None:
    site = await serve(AsyncServer(cors_allowed_origins=["http://page.example"]))
    async with aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{site.port}/socket.io/?EIO=4&transport=polling"
        for origin, status in (("http://page.example", 200), ("http://evil.example", 403)):
            async with http.get(url, headers={"Origin": origin}) as response:
                assert response.status == status


async def test_a_custom_json_module(serve: Serve) -> None:
    class Json:
        @staticmethod
        def dumps(data: Any, **kwargs: Any) -> str:
            import json

            return json.dumps(data, default=str, **kwargs)

        @staticmethod
        def loads(data: str) -> Any:
            import json

            return json.loads(data)

    upstream_json = socketio.packet.Packet.json
    try:
        server = AsyncServer(json=Json)
        _client, gets = await (await serve(server)).client()
        await server.emit("e", {"type": int})
        assert await soon(gets.get()) == ("e", {"type": "<class 'int'>"})
    finally:
        socketio.packet.Packet.json = upstream_json
