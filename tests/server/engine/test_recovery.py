"""Connection state recovery: what a client gets when it comes back, and when it starts anew."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import socketio

from pychat.server.asyncserver import recovery
from pychat.server.engine import AsyncServer
from tests.server.engine.asyncsite import Serve, Site
from tests.server.engine.rawsocket import RawSocket, text


class Visitor:
    """A client of Socket.IO 4.6 that shows what it gets."""

    def __init__(self, socket: RawSocket, answer: Any) -> None:
        self.socket = socket
        self.answer = answer
        self.offset: str | None = None

    @classmethod
    async def come(cls, site: Site, auth: Any = None, namespace: str = "") -> Visitor:
        socket = await RawSocket.open(site.port)
        assert (await socket.receive())[1].startswith(b"0{")
        comma = namespace and f"{namespace},"
        socket.send(text(f"40{comma}{json.dumps(auth) if auth else ''}"))
        packet = (await socket.receive())[1].decode()
        assert packet.startswith((f"40{comma}", f"44{comma}")), packet
        return cls(socket, json.loads(packet[2 + len(comma) :]))

    async def comes_back(self, site: Site) -> Visitor:
        return await Visitor.come(site, {"pid": self.answer["pid"], "offset": self.offset})

    async def event(self) -> list[Any]:
        packet = (await self.socket.receive())[1].decode()
        assert packet.startswith("42["), packet
        *event, self.offset = json.loads(packet[2:])
        assert isinstance(self.offset, str)
        return event

    async def loses_its_connection(self, site: Site) -> None:
        self.socket.close()
        await until_gone(site, self.answer["sid"])


async def until_gone(site: Site, sid: str) -> None:
    async with asyncio.timeout(60):
        while True:
            if not (site.server.manager.is_connected(sid, "/") or site.server.rooms(sid)):
                return
            await asyncio.sleep(0.005)


@pytest.fixture
async def site(serve: Serve) -> Site:
    return await serve(AsyncServer(connection_state_recovery=60))


async def test_a_client_that_comes_back_gets_what_it_missed(site: Site) -> None:
    sio = site.server
    recovered = []

    @sio.on("connect")
    async def connect(sid: str, environ: Any, auth: Any) -> None:
        assert auth is None
        recovered.append((sio.recovered(sid), sorted(sio.rooms(sid)) == sorted({sid, "club"})))
        if sio.recovered(sid):  # others go on while a connect handler runs
            await sio.emit("news", "during the handler")

    alice = await Visitor.come(site)
    assert await sio.emit("news", "seen") is None
    assert await alice.event() == ["news", "seen"]
    sid = alice.answer["sid"]
    await sio.enter_room(sid, "club")
    await sio.save_session(sid, {"name": "alice"})
    await alice.loses_its_connection(site)
    await sio.emit("news", "to all")
    await sio.emit("news", ("to the club", 2), room="club")
    await sio.emit("news", "to another room", room="elsewhere")
    await sio.emit("news", "to all but her", skip_sid=sid)
    await sio.emit("news", "to her", to=sid)
    await sio.emit("news", "to both", room=["elsewhere", "club"])
    back = await alice.comes_back(site)
    assert back.answer == alice.answer
    missed = [await back.event() for _ in range(5)]
    assert missed == [
        ["news", "to all"],
        ["news", "to the club", 2],
        ["news", "to her"],
        ["news", "to both"],
        ["news", "during the handler"],
    ]
    assert recovered == [(False, False), (True, True)]
    assert sio.recovered(sid)
    assert await sio.get_session(sid) == {"name": "alice"}
    await sio.emit("news", "afterwards", room="club")
    assert await back.event() == ["news", "afterwards"]
    # It is away again, and has read only a part of that.
    await back.loses_its_connection(site)
    assert await (await back.comes_back(site)).event() == ["news", "during the handler"]


async def test_it_comes_back_before_the_server_has_noticed(site: Site) -> None:
    alice = await Visitor.come(site)
    reasons: asyncio.Queue[str] = asyncio.Queue()
    site.server.on("disconnect", lambda sid, reason: reasons.put_nowait(reason))
    back = await alice.comes_back(site)
    assert back.answer == alice.answer
    assert await asyncio.wait_for(reasons.get(), 60) == "transport close"
    await site.server.emit("news", 1)
    assert await back.event() == ["news", 1]


async def test_binary_events_are_missed_too(site: Site) -> None:
    alice = await Visitor.come(site)
    await alice.loses_its_connection(site)
    await site.server.emit("picture", b"\x01\x02")
    back = await alice.comes_back(site)
    head = (await back.socket.receive())[1].decode()
    assert json.loads(head.partition("-")[2])[:2] == ["picture", {"_placeholder": True, "num": 0}]
    assert await back.socket.receive() == (0x82, b"\x01\x02")


async def test_nothing_from_before_it_entered_a_room(site: Site) -> None:
    sio = site.server
    await sio.emit("news", "before it came")
    alice = await Visitor.come(site)
    await sio.emit("news", "before it entered", room="club")
    await sio.enter_room(alice.answer["sid"], "club")
    await sio.emit("news", "as a member", room="club")
    assert await alice.event() == ["news", "as a member"]
    await alice.loses_its_connection(site)
    alice.offset = "0"
    back = await alice.comes_back(site)
    assert back.answer == alice.answer
    assert await back.event() == ["news", "as a member"]


@pytest.mark.parametrize("how", ["leave", "close"])
async def test_it_is_removed_from_a_room_while_away(site: Site, how: str) -> None:
    sio = site.server
    alice = await Visitor.come(site)
    sid = alice.answer["sid"]
    await sio.enter_room(sid, "club")
    await alice.loses_its_connection(site)
    await sio.emit("news", "as a member", room="club")
    await (sio.leave_room(sid, "club") if how == "leave" else sio.close_room("club"))
    back = await alice.comes_back(site)
    assert (back.answer, sio.rooms(sid)) == (alice.answer, [sid])
    await sio.emit("news", "to all")
    assert await back.event() == ["news", "to all"]


@pytest.mark.parametrize(
    ("pid", "offset"),
    [
        ("wrong", "0"), (None, "0"), (7, "0"), ([], "0"), ({}, None),
        ("right", "99"), ("right", "-1"), ("right", 0), ("right", "0" * 17), ("right", "²"),
        ("right", ""), ("right", ["0"]),
    ],
)  # fmt: skip
async def test_with_wrong_values_it_starts_anew(site: Site, pid: Any, offset: Any) -> None:
    alice = await Visitor.come(site)
    await alice.loses_its_connection(site)
    await site.server.emit("news", "missed")
    pid = alice.answer["pid"] if pid == "right" else pid
    back = await Visitor.come(site, {"pid": pid, "offset": offset})
    assert back.answer["sid"] != alice.answer["sid"]
    assert back.answer["pid"] != alice.answer["pid"]
    assert not site.server.recovered(back.answer["sid"])
    await site.server.emit("news", "now")
    assert await back.event() == ["news", "now"]


async def starts_anew(site: Site, alice: Visitor) -> Visitor:
    back = await alice.comes_back(site)
    assert back.answer["sid"] != alice.answer["sid"]
    return back


async def test_who_left_or_was_disconnected_starts_anew(site: Site) -> None:
    left = await Visitor.come(site)
    left.socket.send(text("41"))
    await until_gone(site, left.answer["sid"])
    await starts_anew(site, left)
    ended = await Visitor.come(site)
    await site.server.disconnect(ended.answer["sid"])
    await starts_anew(site, ended)
    away = await Visitor.come(site)
    await away.loses_its_connection(site)
    await site.server.disconnect(away.answer["sid"])
    await starts_anew(site, away)


async def test_in_another_namespace_it_starts_anew(site: Site) -> None:
    site.server.on("news", lambda *a: None, namespace="/other")
    alice = await Visitor.come(site)
    await alice.loses_its_connection(site)
    back = await Visitor.come(site, {"pid": alice.answer["pid"]}, "/other")
    assert back.answer["pid"] != alice.answer["pid"]
    assert (await alice.comes_back(site)).answer == alice.answer


async def test_who_is_refused_gets_nothing(site: Site) -> None:
    alice = await Visitor.come(site)
    site.server.on("connect", lambda sid, environ, auth: False)
    await alice.loses_its_connection(site)
    await site.server.emit("news", "missed")
    back = await alice.comes_back(site)
    assert "sid" not in back.answer
    await site.server.emit("news", "now")
    assert site.server.rooms(alice.answer["sid"]) == []
    site.server.on("connect", lambda sid, environ, auth: None)
    await starts_anew(site, alice)


async def test_after_that_time_it_starts_anew(serve: Serve) -> None:
    site = await serve(AsyncServer(connection_state_recovery=0.05))
    alice = await Visitor.come(site)
    await alice.loses_its_connection(site)
    await asyncio.sleep(0.1)
    await starts_anew(site, alice)


async def test_the_oldest_events_and_clients_are_dropped(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "MAX_KEPT_BYTES", 900)
    monkeypatch.setattr(recovery, "MAX_AWAY", 2)
    visitors = [await Visitor.come(site) for _ in range(3)]
    for visitor in visitors:
        await visitor.loses_its_connection(site)
    await site.server.emit("news", "x" * 100)
    await site.server.emit("news", "x" * 100)
    anew = await starts_anew(site, visitors[0])
    back = await visitors[1].comes_back(site)
    assert back.answer == visitors[1].answer
    assert [await back.event() for _ in range(2)] == 2 * [["news", "x" * 100]]
    await site.server.emit("news", "x" * 100)
    await starts_anew(site, visitors[2])
    anew.socket.close()


async def test_a_list_of_those_to_skip_may_be_used_again(site: Site) -> None:
    alice, bob = await Visitor.come(site), await Visitor.come(site)
    await alice.loses_its_connection(site)
    skipped = [alice.answer["sid"]]
    await site.server.emit("news", "not for alice", skip_sid=skipped)
    skipped[:] = [bob.answer["sid"]]
    await site.server.emit("news", "not for bob", skip_sid=skipped)
    back = await alice.comes_back(site)
    assert await back.event() == ["news", "not for bob"]


async def test_who_is_connected_cannot_take_over_another_connection(site: Site) -> None:
    alice, bob = await Visitor.come(site), await Visitor.come(site)
    await alice.loses_its_connection(site)
    bob.socket.send(text(f"40{json.dumps({'pid': alice.answer['pid']})}"))
    assert (await bob.socket.receive())[1].startswith(b"44")
    assert (await alice.comes_back(site)).answer == alice.answer


async def test_clients_of_engine_io_3_get_no_offset(site: Site) -> None:
    socket = await RawSocket.open(site.port, "EIO=3&transport=websocket")
    assert (await socket.receive())[1].startswith(b"0{")
    assert (await socket.receive())[1] == b"40"
    alice = await Visitor.come(site)
    await site.server.emit("news", 1)
    assert (await socket.receive())[1] == b'42["news",1]'
    assert await alice.event() == ["news", 1]


async def test_without_the_option_there_is_no_id_and_no_offset(serve: Serve) -> None:
    site = await serve(AsyncServer())
    alice = await Visitor.come(site, {"pid": "x", "offset": "0"})
    assert list(alice.answer) == ["sid"]
    await site.server.emit("news", 1)
    assert (await alice.socket.receive())[1] == b'42["news",1]'
    assert not site.server.recovered(alice.answer["sid"])


def test_what_it_does_not_take() -> None:
    with pytest.raises(ValueError, match="above 0: not 0"):
        AsyncServer(connection_state_recovery=0)
    with pytest.raises(ValueError, match="client_manager"):
        AsyncServer(client_manager=socketio.AsyncManager(), connection_state_recovery=1)
