"""Giants and bombs: what is too large is refused, and no memory is kept for it."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import AsyncIterator

import aiohttp
import pytest
from msgspec import inspect
from yarl import URL

from pychat.server.app import ChatServer
from tests.attack.hostile import REQUESTS
from tests.attack.report import Tell
from tests.attack.wire import Client
from tests.serving import serving

GIANT = "a" * 900_000
# What a field needs beside the giant one, to be looked at at all.
REST = {
    "sender": "mallory",
    "recepient": "bob",
    "data": "x",
    "command": "chat",
    "type": "text",
    "id": "bob",
    "with": "bob",
    "seq": 0,
    "typing": True,
    "text": "x",
    "query": "",
    "password": "x password",
}


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    """Without the pace at which it would read so many megabytes."""
    async with serving(limits=False) as server:
        yield server


def _text_fields() -> list[tuple[str, str]]:
    return [
        (event.value, field.encode_name)
        for event, type in REQUESTS.items()
        for field in inspect.type_info(type).fields  # type: ignore[attr-defined]  # all are Structs
        # What the original calls today is never looked at.
        if "str" in str(field.type).lower() and field.encode_name != "today"
    ]


@pytest.mark.e2e
@pytest.mark.parametrize("text", [GIANT, "\ufdfa" * 290_000], ids=["long", "expanding"])
async def test_a_giant_in_any_field_is_refused(
    alice: Client, bob: Client, mallory: Client, tell: Tell, text: str
) -> None:
    fields = _text_fields()
    assert len(fields) > 20
    for event, field in fields:
        payload = {**REST, field: text}
        if event == "room" and field != "command":
            payload["command"] = "join"
            payload.setdefault("roomId", "den")
        answer = await mallory.ask_raw(event, json.dumps(payload, ensure_ascii=False))
        assert answer["code"] in ("400", "413", "403"), (event, field, answer)
        assert len(answer["message"]) < 300
        if event == "message":
            # To ALL the original lets the command be anything; not anything of any size.
            payload = {**payload, "recepient": "ALL", field: text}
            answer = await mallory.ask_raw(event, json.dumps(payload, ensure_ascii=False))
            assert answer["code"] in ("400", "413", "403"), (event, field, answer)
    tell(f"a field of {len(text):,} characters, in every field", len(fields) + 7, "refused, 400")


@pytest.mark.e2e  # it takes too long for the fast part
async def test_giant_ids_are_not_kept(
    alice: Client, bob: Client, mallory: Client, tell: Tell
) -> None:
    """Ids are looked up by a form that is remembered: not that of a megabyte."""
    times = 60
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(times):
        giant = f"{number}{GIANT}"
        await mallory.ask("typing", {"recepient": giant, "typing": True})
        await mallory.ask("history", {"with": "#" + giant})
        room_message = {"sender": "mallory", "recepient": giant, "data": "x"}
        await mallory.ask("message", {**room_message, "command": "groupchat"})
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert kept < 8_000_000, f"{kept:,} bytes were kept"
    tell("ids of 900,000 characters", 3 * times, f"refused; {kept / 1e6:.1f} MB kept")


@pytest.mark.e2e  # it takes too long for the fast part
async def test_one_file_under_many_names_is_kept_once(
    server: ChatServer, web: aiohttp.ClientSession, tell: Tell
) -> None:
    """Slashes can be doubled without end; the page's files are kept in memory by what they are."""
    times = 300
    name = "js/views/log.js"
    await (await web.get(f"{server.url}/page/{name}")).read()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(1, times):
        path = f"/page{'/' * number}{name}"
        async with web.get(URL(server.url + path, encoded=True)) as answer:
            assert answer.status == 200
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert kept < 1_000_000, f"{kept:,} bytes were kept"
    tell("one file under many names", times, f"{kept / 1e6:.1f} MB kept")
